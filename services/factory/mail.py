"""Messages on this node: those that come are handed to workers, those that workers send become asks."""

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bus.blobs import BlobStore
from bus.clock import Clock
from bus.errors import BusError
from bus.record import Envelope, derive_id
from services.factory.background import Background
from services.factory.file_name import file_name
from services.factory.held_instance import Attempt, HeldInstance
from services.factory.reports import Reports
from services.records.content import Content
from services.records.message import (
    PAYLOAD_INLINE_BYTES_MAX,
    REQUESTS,
    Message,
    MessageContext,
    MessageReceived,
    MessageRequested,
    MessageSent,
    channel_of,
)

logger = logging.getLogger(__name__)

SENT_MAX = 10_000
"""Most messages that one attempt sends."""

RECEIVED_MAX = 2_000
"""So many received messages of an instance are remembered, so that none is handed over again that is sent again."""


class MessageRejected(Exception):
    """A worker's message cannot be sent; the text is a sentence for its author."""


class Mail:
    """Takes messages for held instances and hands each to an attempt: one under way, or the next one."""

    def __init__(self, *, blobs: BlobStore, clock: Clock, reports: Reports, background: Background) -> None:
        self._blobs, self._clock, self._reports, self._background = blobs, clock, reports, background

    def take(self, held: HeldInstance, envelope: Envelope) -> None:
        """A message has come for an instance, or come again."""
        sent: MessageSent = envelope.record
        if sent.message.message_id in held.received or self._has_expired(sent.message):
            return
        held.mail[sent.message.message_id] = envelope
        attempt = held.attempts.get(held.handed.get(sent.message.message_id, ""))
        for each in [attempt] if attempt else held.attempts.values():
            if each.is_at_work and _fits(sent, each):
                self._hand(each, envelope)
                return

    def hand_out(self, attempt: Attempt) -> None:
        """An attempt begins: it gets what waits for its instance and was handed to nobody who still works."""
        held = attempt.held
        for message_id, envelope in sorted(held.mail.items(), key=lambda item: _urgency(item[1].record.message)):
            if self._has_expired(envelope.record.message):
                del held.mail[message_id]
                held.handed.pop(message_id, None)
            elif held.handed.get(message_id) not in held.attempts and _fits(envelope.record, attempt):
                self._hand(attempt, envelope)

    def _has_expired(self, message: Message) -> bool:
        return message.expires_at_ms <= self._clock.now_ms()

    def _hand(self, attempt: Attempt, envelope: Envelope) -> None:
        message: Message = envelope.record.message
        attempt.held.handed[message.message_id] = attempt.attempt_id
        if message.payload.inline is None:
            self._background.start(self._fetch(attempt, envelope))
        else:
            self._deliver(attempt, message, json.loads(message.payload.inline))

    async def _fetch(self, attempt: Attempt, envelope: Envelope) -> None:
        """A large payload comes as a file."""
        message: Message = envelope.record.message
        found = {"sha256": message.payload.digest.removeprefix("sha256:"), "size": message.payload.size}
        if attempt.has_files:
            place = attempt.directory.path / "messages" / file_name(message.message_id)
            try:
                place.parent.mkdir(exist_ok=True, mode=0o755)
                await self._blobs.get_file(message.payload.digest, place)
                place.chmod(0o444)
            except (BusError, OSError) as error:
                logger.warning("the payload of message %s cannot be had now: %s", message.message_id, error)
                return
            found["path"] = str(place)
        self._deliver(attempt, message, found)

    def _deliver(self, attempt: Attempt, message: Message, payload: Any) -> None:
        if attempt.is_at_work and attempt.held.worker and not self._has_expired(message):
            attempt.held.worker.deliver(attempt.attempt_id, letter_of(message, payload))

    def receive(self, attempt: Attempt, message_id: str) -> None:
        """The worker has a message; what it says of messages that it was not given is nothing."""
        held = attempt.held
        envelope = held.mail.pop(message_id, None)
        if envelope is None or held.handed.pop(message_id, None) is None:
            return
        held.received[message_id] = None
        if len(held.received) > RECEIVED_MAX:
            del held.received[next(iter(held.received))]
        order = held.order
        report = MessageReceived(
            workspace_id=order.workspace_id,
            run_id=envelope.record.run_id,
            message_id=message_id,
            instance_id=order.instance_id,
            node_id=order.node_id,
            node_session=order.node_session,
            incarnation=order.incarnation,
            attempt_id=attempt.attempt_id,
        )
        record_id = derive_id(order.node_session, "received", order.instance_id, order.incarnation, message_id)
        self._reports.add(report, record_id, trace=envelope.trace, cause=str(envelope.at), kept=False)

    def send(self, attempt: Attempt, draft: Mapping[str, Any]) -> None:
        """Send a worker's message; raises MessageRejected."""
        try:
            channel = channel_of(draft["type"])
            payload = draft["payload"].encode()
        except (ValueError, LookupError, AttributeError) as error:
            raise MessageRejected(str(error)) from error
        if attempt.sent >= SENT_MAX:
            raise MessageRejected(f"an attempt sends {SENT_MAX} messages at most, and this was one more")
        attempt.sent += 1
        digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
        is_small = len(payload) <= PAYLOAD_INLINE_BYTES_MAX
        content = Content(
            name="payload",
            digest=digest,
            size=len(payload),
            media_type="application/json",
            inline=payload if is_small else None,
        )
        ask = _ask(REQUESTS[channel], attempt, draft, content)
        record_id = derive_id(attempt.held.session, attempt.attempt_id, "message", attempt.sent)
        if is_small:
            self._reports.add(ask, record_id, trace=attempt.trace, cause=attempt.cause)
        else:
            self._background.start(self._store(attempt, ask, record_id, payload))

    async def _store(self, attempt: Attempt, ask: MessageRequested, record_id: str, payload: bytes) -> None:
        try:
            await self._blobs.put(payload)
        except BusError as error:
            logger.warning("message %s of %s is lost: %s", record_id, attempt.attempt_id, error)
            return
        self._reports.add(ask, record_id, trace=attempt.trace, cause=attempt.cause)


def _ask(
    kind: type[MessageRequested], attempt: Attempt, draft: Mapping[str, Any], content: Content
) -> MessageRequested:
    order, held = attempt.order, attempt.held
    return kind(
        workspace_id=order.workspace_id,
        run_id=order.work.run_id,
        attempt_id=order.attempt_id,
        source_instance=order.instance_id,
        node_session=held.session,
        incarnation=held.incarnation,
        target_instance=draft["to"],
        message_type=draft["type"],
        payload=content,
        context=MessageContext(
            workflow_id=order.work.run_id,
            stage_id=order.work.stage,
            task_id=order.task_id,
            trace_id=attempt.trace,
            priority=draft["priority"],
            requires_ack=draft["requires_ack"],
        ),
        expires_in_ms=draft["expires_in_ms"],
        reply_to=draft["reply_to"],
    )


def _fits(sent: MessageSent, attempt: Attempt) -> bool:
    """A message for a profession of a run is for those who work on that run."""
    scoped = sent.run_id and sent.message.target_instance.startswith("profession:")
    return not scoped or attempt.order.work.run_id == sent.run_id


def _urgency(message: Message) -> tuple[int, int, str]:
    return -message.context.priority, message.created_at_ms, message.message_id


def letter_of(message: Message, payload: Any) -> dict[str, Any]:
    """A message as a worker gets it: the specification's CollaborationMessage."""
    return {
        "message_id": message.message_id,
        "source_instance": message.source_instance,
        "target_instance": message.target_instance,
        "message_type": message.message_type,
        "payload": payload,
        "context": message.context.model_dump(),
        "created_at": _time(message.created_at_ms),
        "expires_at": _time(message.expires_at_ms),
        "reply_to": message.reply_to,
    }


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
