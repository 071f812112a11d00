"""The state of conversations: who can be written to, and the messages that are not received yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import fold_by_type
from bus.record import Fact
from bus.seen import Seen
from services.records.message import (
    CorrespondentChanged,
    Delivery,
    Message,
    MessageAcknowledged,
    MessageExpired,
    MessageRefused,
    MessageSent,
)

NONE: Map[str, None] = Map()


class Correspondent(NamedTuple):
    """An instance that can be written to, with its present worker."""

    instance_id: str
    profession: str
    team_id: str
    node_id: str
    node_session: str
    incarnation: int

    @property
    def delivery(self) -> Delivery:
        return Delivery(
            instance_id=self.instance_id,
            node_id=self.node_id,
            node_session=self.node_session,
            incarnation=self.incarnation,
        )


class Pending(NamedTuple):
    """A message that is not received yet; `waiting` are those that it was sent to and that have not answered."""

    sent: MessageSent  # the newest round
    waiting: Map[str, None] = NONE
    received: int = 0  # by so many

    @property
    def message(self) -> Message:
        return self.sent.message

    @property
    def is_for_one(self) -> bool:
        """Whether one receiver is enough, whoever of those addressed it is."""
        return self.message.target_instance.startswith("profession:")


class Workspace(NamedTuple):
    """The correspondents of a workspace, and by group of them who is in it; `queues` are the pending messages of
    each, `callers` those for a group of which any member will do."""

    correspondents: Map[str, Correspondent] = Map()
    groups: Map[str, Map[str, None]] = Map()  # "all", "profession:NAME", "team:NAME"
    queues: Map[str, Map[str, None]] = Map()
    callers: Map[str, Map[str, None]] = Map()

    def members(self, group: str) -> Map[str, None]:
        return self.groups.get(group, NONE)

    def queue(self, instance_id: str) -> Map[str, None]:
        return self.queues.get(instance_id, NONE)


EMPTY = Workspace()


class Conversations(NamedTuple):
    """A partition."""

    workspaces: Map[str, Workspace] = Map()
    pending: Map[str, Pending] = Map()
    gone: Seen = Seen()  # instances
    seen: Seen = Seen()  # messages, with those that are over
    deadlines: Deadlines = Deadlines()  # by message

    def of(self, workspace_id: str) -> Workspace:
        return self.workspaces.get(workspace_id, EMPTY)


def wake_ms(sent: MessageSent) -> int:
    """When a message is to be looked at again if nobody answers before."""
    expires_at_ms = sent.message.expires_at_ms
    return min(sent.resend_at_ms, expires_at_ms) if sent.resend_at_ms else expires_at_ms


def _fold_sent(state: Conversations, fact: MessageSent, time_ms: int) -> Conversations:
    message_id, target = fact.message.message_id, fact.message.target_instance
    if target.startswith("person:"):  # nobody has to get it; whoever looks finds it in the log
        return state._replace(seen=state.seen.add(message_id, time_ms))
    before = state.pending.get(message_id)
    names = {delivery.instance_id: None for delivery in fact.deliveries}
    waiting = (before.waiting if before else NONE).update(names)
    workspace = state.of(fact.workspace_id)
    queues = workspace.queues
    for name in names:
        queues = queues.set(name, queues.get(name, NONE).set(message_id, None))
    callers = workspace.callers
    if target.startswith("profession:"):
        callers = callers.set(target, callers.get(target, NONE).set(message_id, None))
    return state._replace(
        workspaces=state.workspaces.set(fact.workspace_id, workspace._replace(queues=queues, callers=callers)),
        pending=state.pending.set(message_id, Pending(fact, waiting, before.received if before else 0)),
        seen=state.seen.add(message_id, time_ms),
        deadlines=state.deadlines.set(message_id, wake_ms(fact)),
    )


def _fold_refused(state: Conversations, fact: MessageRefused, time_ms: int) -> Conversations:
    return state._replace(seen=state.seen.add(fact.message_id, time_ms))


def _fold_acknowledged(state: Conversations, fact: MessageAcknowledged, time_ms: int) -> Conversations:
    if fact.settled:
        return _without(state, fact.workspace_id, fact.message_id)
    before = state.pending[fact.message_id]
    pending = before._replace(waiting=_less(before.waiting, fact.instance_id), received=before.received + 1)
    workspace = state.of(fact.workspace_id)
    workspace = workspace._replace(queues=_unlisted(workspace.queues, fact.instance_id, fact.message_id))
    return state._replace(
        workspaces=state.workspaces.set(fact.workspace_id, workspace),
        pending=state.pending.set(fact.message_id, pending),
    )


def _fold_expired(state: Conversations, fact: MessageExpired, time_ms: int) -> Conversations:
    return _without(state, fact.workspace_id, fact.message_id)


def _without(state: Conversations, workspace_id: str, message_id: str) -> Conversations:
    """Without a message that is over."""
    pending, workspace = state.pending[message_id], state.of(workspace_id)
    queues = workspace.queues
    for name in sorted(pending.waiting):
        queues = _unlisted(queues, name, message_id)
    callers = _unlisted(workspace.callers, pending.message.target_instance, message_id)
    workspace = workspace._replace(queues=queues, callers=callers)
    return state._replace(
        workspaces=state.workspaces.set(workspace_id, workspace),
        pending=state.pending.delete(message_id),
        deadlines=state.deadlines.clear(message_id),
    )


def _fold_changed(state: Conversations, fact: CorrespondentChanged, time_ms: int) -> Conversations:
    workspace = state.of(fact.workspace_id)
    before = workspace.correspondents.get(fact.instance_id)
    groups = workspace.groups
    for group in _groups(before) if before else ():
        groups = _unlisted(groups, group, fact.instance_id)
    if fact.gone:
        workspace = workspace._replace(correspondents=_less(workspace.correspondents, fact.instance_id), groups=groups)
        gone = state.gone.add(fact.instance_id, time_ms)
        return state._replace(workspaces=state.workspaces.set(fact.workspace_id, workspace), gone=gone)
    after = Correspondent(
        fact.instance_id, fact.profession, fact.team_id, fact.node_id, fact.node_session, fact.incarnation
    )
    for group in _groups(after):
        groups = groups.set(group, groups.get(group, NONE).set(fact.instance_id, None))
    workspace = workspace._replace(correspondents=workspace.correspondents.set(fact.instance_id, after), groups=groups)
    return state._replace(workspaces=state.workspaces.set(fact.workspace_id, workspace))


def _groups(one: Correspondent) -> Iterator[str]:
    yield "all"
    yield f"profession:{one.profession}"
    if one.team_id:
        yield f"team:{one.team_id}"


def _less(names: Map[str, Any], name: str) -> Map[str, Any]:
    return names.delete(name) if name in names else names


def _unlisted(lists: Map[str, Map[str, None]], name: str, entry: str) -> Map[str, Map[str, None]]:
    """Without an entry in the list of this name; a list that becomes empty goes."""
    rest = _less(lists.get(name, NONE), entry)
    return lists.set(name, rest) if rest else _less(lists, name)


FOLDS: Mapping[type[Fact], Callable[[Conversations, Any, int], Conversations]] = {
    MessageSent: _fold_sent,
    MessageRefused: _fold_refused,
    MessageAcknowledged: _fold_acknowledged,
    MessageExpired: _fold_expired,
    CorrespondentChanged: _fold_changed,
}

evolve = fold_by_type("router.conversations", FOLDS)
"""The conversations after one of their facts."""
