"""Asks for messages, read: who sends what to whom, or why it cannot be sent."""

from __future__ import annotations

from bus.seen import Seen
from services.records.content import Content
from services.records.message import (
    EXPIRY_MS,
    EXPIRY_MS_MAX,
    NAME_LENGTH_MAX,
    PAYLOAD_BYTES_MAX,
    PAYLOAD_INLINE_BYTES_MAX,
    PRIORITY_MAX,
    REQUESTS,
    Message,
    MessageRequested,
    channel_of,
)
from services.router.conversations_state import Correspondent, Workspace

GROUPS = ("instance", "profession", "team", "person")


class Unsendable(Exception):
    """A message cannot be sent; the text is a sentence for the sender."""


def read_message(
    asked: MessageRequested, message_id: str, trace: str, now_ms: int, workspace: Workspace, gone: Seen
) -> Message:
    """The message that is asked for; raises Unsendable."""
    source = _source(asked, workspace, gone)
    target = read_target(asked.target_instance, _team(asked, workspace))
    if target.removeprefix("instance:") in gone:
        raise Unsendable(f"the instance {target.removeprefix('instance:')} has ended")
    _check_type(asked)
    _check_payload(asked.payload)
    if abs(asked.context.priority) > PRIORITY_MAX:
        raise Unsendable(
            f"the priority is {asked.context.priority}, and must be from -{PRIORITY_MAX} to {PRIORITY_MAX}"
        )
    if not 0 <= asked.expires_in_ms <= EXPIRY_MS_MAX:
        raise Unsendable(f"a message lives {EXPIRY_MS_MAX} ms at most, and this one was to live {asked.expires_in_ms}")
    if len(asked.reply_to) > NAME_LENGTH_MAX:
        raise Unsendable("the message that it answers is named by more characters than any has")
    return Message(
        message_id=message_id,
        source_instance=source,
        target_instance=target,
        message_type=asked.message_type,
        payload=asked.payload,
        context=asked.context.model_copy(update={"trace_id": asked.context.trace_id or trace}),
        created_at_ms=now_ms,
        expires_at_ms=now_ms + (asked.expires_in_ms or EXPIRY_MS),
        reply_to=asked.reply_to,
    )


def _source(asked: MessageRequested, workspace: Workspace, gone: Seen) -> str:
    """Who sends: the person who asks, or the instance whose present worker does. One that is not known yet is
    believed, since it may have been made ready a moment ago."""
    if not asked.source_instance:
        return f"person:{(asked.actor or 'somebody')[:NAME_LENGTH_MAX]}"
    if asked.actor:
        raise Unsendable(
            f"{asked.actor[:NAME_LENGTH_MAX]} is no worker of {asked.source_instance} and cannot speak for it"
        )
    known = workspace.correspondents.get(asked.source_instance)
    if asked.source_instance in gone or (known and _is_older(asked, known)):
        raise Unsendable(f"the worker of {asked.source_instance} that sends this is over")
    return asked.source_instance


def _is_older(asked: MessageRequested, known: Correspondent) -> bool:
    if asked.incarnation == known.incarnation:
        return asked.node_session != known.node_session
    return asked.incarnation < known.incarnation


def _team(asked: MessageRequested, workspace: Workspace) -> str:
    known = workspace.correspondents.get(asked.source_instance)
    return known.team_id if known else ""


def read_target(text: str, team: str = "") -> str:
    """The address as it is kept; raises Unsendable. `team` alone is the sender's."""
    kind, colon, name = text.partition(":")
    if len(text) > NAME_LENGTH_MAX:
        raise Unsendable(f"the address has {len(text)} characters, more than {NAME_LENGTH_MAX}")
    if text == "all":
        return text
    if text == "team":
        if not team:
            raise Unsendable("the sender is in no team, so that it cannot write to it; instances get one when made")
        return f"team:{team}"
    if kind in GROUPS and colon and name:
        return text
    if text and not colon:
        return f"instance:{text}"
    raise Unsendable(f"{text!r} is no address: write {', '.join(f'{each}:NAME' for each in GROUPS)}, team or all")


def _check_type(asked: MessageRequested) -> None:
    if len(asked.message_type) > NAME_LENGTH_MAX:
        raise Unsendable(f"the message type has {len(asked.message_type)} characters, more than {NAME_LENGTH_MAX}")
    try:
        channel = channel_of(asked.message_type)
    except ValueError as error:
        raise Unsendable(str(error)) from error
    if not isinstance(asked, REQUESTS[channel]):
        raise Unsendable(f"a message of type {asked.message_type} goes by the channel {channel}, not {asked.channel}")


def _check_payload(payload: Content) -> None:
    if payload.size > PAYLOAD_BYTES_MAX:
        raise Unsendable(f"the payload has {payload.size} bytes, more than {PAYLOAD_BYTES_MAX}; share an artifact")
    inline = len(payload.inline) if payload.inline is not None else 0
    if inline > PAYLOAD_INLINE_BYTES_MAX or (payload.inline is not None and inline != payload.size):
        raise Unsendable(f"{inline} bytes of the payload of {payload.size} stand in the record, which does not fit")
    if payload.inline is None and not payload.digest:
        raise Unsendable("there is no payload, neither in the record nor by digest")
