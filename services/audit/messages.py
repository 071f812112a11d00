"""The messages of a system as its records show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from bus.record import Envelope, Record
from services.audit.progress import hex_of
from services.records.content import Content
from services.records.message import Message, MessageAcknowledged, MessageExpired, MessageRefused, MessageSent

MESSAGED: tuple[type[Record], ...] = (MessageSent, MessageRefused, MessageAcknowledged, MessageExpired)
"""What the list of messages is folded from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A message, and how far it is."""

    message_id: str
    workspace_id: str
    run_id: str
    made_ms: int
    status: str  # sent, then received or expired; refused; kept for a person
    message: Message | None = None  # none of one that was refused
    rounds: int = 0
    received_by: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_over(self) -> bool:
        return self.status != "sent"


def fold_messages(envelopes: Iterable[Envelope]) -> dict[str, Sending]:
    """Every message by its id, in the order of their sending."""
    found: dict[str, Sending] = {}
    for envelope in envelopes:
        apply(found, envelope)
    return found


def apply(found: MutableMapping[str, Sending], envelope: Envelope) -> None:
    """Take one record in."""
    record = envelope.record
    message_id = record.message.message_id if isinstance(record, MessageSent) else record.message_id
    known = found.get(message_id)
    match record:
        case MessageSent() if known is None:
            found[message_id] = _sent(record, envelope.time_ms)
        case MessageRefused() if known is None:
            found[message_id] = _refused(record, envelope.time_ms)
        case MessageSent() if known is not None:
            found[message_id] = replace(known, rounds=record.round)
        case MessageAcknowledged() if known is not None:
            status = "received" if record.settled else known.status
            found[message_id] = replace(known, status=status, received_by=(*known.received_by, record.instance_id))
        case MessageExpired() if known is not None:
            found[message_id] = replace(known, status="expired", reason=record.reason)


def _sent(record: MessageSent, time_ms: int) -> Sending:
    to_person = record.message.target_instance.startswith("person:")
    return Sending(
        message_id=record.message.message_id,
        workspace_id=record.workspace_id,
        run_id=record.run_id,
        made_ms=time_ms,
        status="kept" if to_person else "sent",
        message=record.message,
        rounds=record.round,
    )


def _refused(record: MessageRefused, time_ms: int) -> Sending:
    return Sending(
        message_id=record.message_id,
        workspace_id=record.workspace_id,
        run_id=record.run_id,
        made_ms=time_ms,
        status="refused",
        reason=record.reason,
    )


def describe(sending: Sending) -> dict[str, Any]:
    """One line of `messages list --json`: the specification's CollaborationMessage, and how far it is."""
    message = sending.message
    head = {
        "message_id": sending.message_id,
        "status": sending.status,
        "workspace_id": sending.workspace_id,
        "run_id": sending.run_id or None,
        "rounds": sending.rounds,
        "received_by": list(sending.received_by),
        "reason": sending.reason or None,
    }
    if message is None:
        nothing = ("source_instance", "target_instance", "message_type", "payload", "context", "reply_to")
        return {**head, **dict.fromkeys(nothing), "created_at": sending.made_ms, "expires_at": None}
    return {
        **head,
        "source_instance": message.source_instance,
        "target_instance": message.target_instance,
        "message_type": message.message_type,
        "payload": _payload(message.payload),
        "context": message.context.model_dump(),
        "reply_to": message.reply_to or None,
        "created_at": message.created_at_ms,
        "expires_at": message.expires_at_ms,
    }


def _payload(content: Content) -> Any:
    """The payload itself, or where it is."""
    if content.inline is None:
        return {"sha256": hex_of(content.digest), "size": content.size}
    try:
        return json.loads(content.inline)
    except ValueError:
        return content.inline.decode(errors="replace")
