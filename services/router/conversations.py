"""The role router.conversations: messages between instances, sent until they are received or have expired.

A message is addressed to an instance, a profession (of the run, if it belongs to one; one receiver is enough), a team,
everybody in the workspace, or a person, who finds it in the log. Whoever it is meant for at its first round must
receive it; workers that come later, or anew, are sent what waits for them. What was not known to be there is looked
for once more before the message is given up, since news of instances comes by another channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.records.event import InstanceEnded, InstanceReady
from services.records.message import (
    REQUESTS,
    CorrespondentChanged,
    Delivery,
    MessageAcknowledged,
    MessageExpired,
    MessageReceived,
    MessageRefused,
    MessageRequested,
    MessageSent,
)
from services.records.permission import find_lack
from services.router.addressing import Unsendable, read_message
from services.router.conversations_state import FOLDS, Conversations, Pending, Workspace, evolve, wake_ms

QUEUE_MESSAGES_MAX = 1_000
"""Most messages that wait for one instance."""

ADDRESSEES_MAX = 200
"""Most instances that one message is for."""

PENDING_MAX = 50_000
"""Most messages of a partition that wait to be received."""

RESEND_MS = 5_000
"""From the first round of a message to the next; then twice as long each time."""

ROUNDS_MAX = 20
"""How often a message is sent at most."""

CATCH_UP_BYTES = 128 * 1024
"""About so much of what waits for a worker is sent to it at once when it is ready; the rest in its next round."""


def decide(draft: Draft[Conversations], heard: Envelope) -> None:
    """Send, acknowledge, send again, give up."""
    if isinstance(heard.record, DeadlineReached):
        _meet_deadline(draft, heard.record)
    elif decision := _DECISIONS.get(type(heard.record)):
        decision(draft, heard)


def _send(draft: Draft[Conversations], heard: Envelope) -> None:
    asked: MessageRequested = heard.record
    if heard.id in draft.state.seen:
        return
    workspace = draft.state.of(asked.workspace_id)
    try:
        if lack := find_lack(asked):
            raise Unsendable(lack)
        message = read_message(asked, heard.id, heard.trace, draft.now_ms, workspace, draft.state.gone)
        if len(draft.state.pending) >= PENDING_MAX:
            raise Unsendable(f"{PENDING_MAX} messages wait to be received in this partition, which is the most")
        addressees = _addressees(workspace, message.target_instance, message.source_instance)
        deliveries = _with_room(workspace, addressees)
    except Unsendable as error:
        draft.add(
            MessageRefused(
                workspace_id=asked.workspace_id,
                run_id=asked.run_id,
                ask_id=heard.id,
                message_id=heard.id,
                reason=str(error),
            )
        )
        return
    draft.add(
        MessageSent(
            workspace_id=asked.workspace_id,
            run_id=asked.run_id,
            attempt_id=asked.attempt_id,
            ask_id=heard.id,
            message=message,
            deliveries=deliveries,
            resend_at_ms=draft.now_ms + RESEND_MS,
        )
    )
    if asked.reply_to and asked.source_instance:
        _acknowledge(draft, asked.reply_to, asked.source_instance, asked.attempt_id)


def _addressees(workspace: Workspace, target: str, source: str) -> list[str]:
    """Who is meant, of those that are known; never the sender. Raises Unsendable when they are too many."""
    kind, _, name = target.partition(":")
    if kind == "person":
        return []
    if kind == "instance":
        return [name] if name in workspace.correspondents else []
    found = sorted(one for one in workspace.members(target) if one != source)
    if len(found) > ADDRESSEES_MAX:
        raise Unsendable(f"{target} are {len(found)} instances, and a message is for {ADDRESSEES_MAX} at most")
    return found


def _with_room(workspace: Workspace, addressees: list[str]) -> tuple[Delivery, ...]:
    free = [one for one in addressees if len(workspace.queue(one)) < QUEUE_MESSAGES_MAX]
    if addressees and not free:
        raise Unsendable(f"{QUEUE_MESSAGES_MAX} messages wait for {addressees[0]}, and no more may")
    return _deliveries(workspace, free)


def _deliveries(workspace: Workspace, instances: Iterable[str]) -> tuple[Delivery, ...]:
    return tuple([workspace.correspondents[one].delivery for one in instances])


def _receive(draft: Draft[Conversations], heard: Envelope) -> None:
    report: MessageReceived = heard.record
    pending = draft.state.pending.get(report.message_id)
    one = draft.state.of(report.workspace_id).correspondents.get(report.instance_id)
    if pending is None or pending.sent.workspace_id != report.workspace_id:
        return
    if one is None or (one.node_session, one.incarnation) == (report.node_session, report.incarnation):
        _acknowledge(draft, report.message_id, report.instance_id, report.attempt_id)


def _acknowledge(draft: Draft[Conversations], message_id: str, instance_id: str, attempt_id: str) -> None:
    """Note that one of those who wait for a message has it."""
    pending = draft.state.pending.get(message_id)
    if pending is None or instance_id not in pending.waiting:
        return
    draft.add(
        MessageAcknowledged(
            workspace_id=pending.sent.workspace_id,
            run_id=pending.sent.run_id,
            message_id=message_id,
            instance_id=instance_id,
            attempt_id=attempt_id,
            settled=pending.is_for_one or len(pending.waiting) == 1,
        )
    )


def _welcome(draft: Draft[Conversations], heard: Envelope) -> None:
    """Note a worker, and send it what waits for its instance or its profession."""
    ready: InstanceReady = heard.record
    known = draft.state.of(ready.workspace_id).correspondents.get(ready.instance_id)
    worker = (ready.node_session, ready.incarnation)
    if ready.instance_id in draft.state.gone or (known and (known.node_session, known.incarnation) == worker):
        return
    draft.add(
        CorrespondentChanged(
            workspace_id=ready.workspace_id,
            instance_id=ready.instance_id,
            profession=ready.profession,
            team_id=ready.team_id,
            node_id=ready.node_id,
            node_session=ready.node_session,
            incarnation=ready.incarnation,
        )
    )
    _catch_up(draft, draft.state.of(ready.workspace_id), ready.instance_id, f"profession:{ready.profession}")


def _catch_up(draft: Draft[Conversations], workspace: Workspace, instance_id: str, group: str) -> None:
    names = {*workspace.queue(instance_id), *workspace.callers.get(group, ())}
    found = [draft.state.pending[name] for name in names]
    size = 0
    for pending in sorted(found, key=_urgency):
        size += 1_000 + 2 * len(pending.message.payload.inline or b"")
        if size > CATCH_UP_BYTES:
            return
        if pending.message.source_instance != instance_id and pending.message.expires_at_ms > draft.now_ms:
            _send_again(draft, pending, _deliveries(workspace, [instance_id]))


def _urgency(pending: Pending) -> tuple[int, int, str]:
    message = pending.message
    return -message.context.priority, message.created_at_ms, message.message_id


def _send_again(draft: Draft[Conversations], pending: Pending, deliveries: tuple[Delivery, ...]) -> None:
    number = pending.sent.round + 1
    again_in_ms = RESEND_MS << (number - 1)
    resend_at_ms = draft.now_ms + again_in_ms if number < ROUNDS_MAX else 0
    draft.add(pending.sent.model_copy(update={"round": number, "deliveries": deliveries, "resend_at_ms": resend_at_ms}))


def _part(draft: Draft[Conversations], heard: Envelope) -> None:
    """Note that an instance is gone; what waits for it is looked at when it is due."""
    ended: InstanceEnded = heard.record
    if ended.instance_id not in draft.state.gone:
        draft.add(CorrespondentChanged(workspace_id=ended.workspace_id, instance_id=ended.instance_id, gone=True))


def _meet_deadline(draft: Draft[Conversations], reached: DeadlineReached) -> None:
    pending = draft.state.pending.get(reached.id)
    if pending is None or wake_ms(pending.sent) > draft.now_ms:
        return
    if pending.message.expires_at_ms <= draft.now_ms:
        _give_up(draft, pending, "its time was over")
        return
    workspace = draft.state.of(pending.sent.workspace_id)
    waiting = sorted(one for one in pending.waiting if one in workspace.correspondents)
    if pending.is_for_one or not (pending.waiting or pending.received):
        waiting = _anew(workspace, pending)
    if waiting or pending.is_for_one:
        _send_again(draft, pending, _deliveries(workspace, waiting))
    else:
        _give_up(draft, pending, _absence(pending))


def _anew(workspace: Workspace, pending: Pending) -> list[str]:
    """Who is meant now."""
    target, source = pending.message.target_instance, pending.message.source_instance
    try:
        return _addressees(workspace, target, source)
    except Unsendable:
        return sorted(workspace.members(target))[:ADDRESSEES_MAX]


def _absence(pending: Pending) -> str:
    target = pending.message.target_instance
    if pending.waiting:
        return f"{', '.join(sorted(pending.waiting)[:3])} ended before receiving it"
    return "nobody else is in this workspace" if target == "all" else f"there is no {target.replace(':', ' ', 1)}"


def _give_up(draft: Draft[Conversations], pending: Pending, reason: str) -> None:
    draft.add(
        MessageExpired(
            workspace_id=pending.sent.workspace_id,
            run_id=pending.sent.run_id,
            message_id=pending.message.message_id,
            missed=tuple(sorted(pending.waiting)),
            reason=reason,
        )
    )


_DECISIONS: Mapping[type[Record], Callable[[Draft[Conversations], Envelope], None]] = {
    **dict.fromkeys(REQUESTS.values(), _send),
    MessageReceived: _receive,
    InstanceReady: _welcome,
    InstanceEnded: _part,
}

CONVERSATIONS: Role[Conversations] = Role(
    name="router.conversations",
    home="task",
    hears=frozenset(_DECISIONS),
    says=frozenset(FOLDS),
    initial=Conversations,
    decide=decide,
    evolve=evolve,
    deadlines=lambda state: state.deadlines,
)
