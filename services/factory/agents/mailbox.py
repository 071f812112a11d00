"""The messages of one attempt as its agent sees them: those that came, the urgent ones first, and the way out.

A letter is a CollaborationMessage as JSON. A draft is what an agent writes: {"to", "type", "payload", "priority",
"requires_ack", "expires_in", "reply_to"}, of which an answer needs no "to" and everything else but "to" has a default.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from services.definitions.duration import read_duration

PAYLOAD_BYTES_MAX = 1024 * 1024
"""Largest payload that an agent may send."""

LETTERS_MAX = 1_000
"""Most letters that are kept to know whom to answer."""

TYPE_DEFAULT = "notification"

_FIELDS = {"to", "type", "payload", "priority", "requires_ack", "expires_in", "reply_to"}


class MessageBroken(Exception):
    """A draft that cannot be sent; the message is for the author of the agent."""


class Mailbox:
    """What came and was not taken yet. `send` takes drafts that can be read, `received` ids of letters."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None], received: Callable[[str], None]) -> None:
        self._send, self._received = send, received
        self._waiting: dict[str, Mapping[str, Any]] = {}
        self._known: dict[str, Mapping[str, Any]] = {}
        self._came = asyncio.Event()

    def put(self, letter: Mapping[str, Any]) -> None:
        """A letter has come, or come again."""
        self._waiting[letter["message_id"]] = letter
        self._came.set()

    async def take(self, kind: str = "") -> Mapping[str, Any]:
        """The most urgent letter, of this message type if any is given, as soon as there is one. It counts as received
        unless it requires to be acknowledged."""
        while True:
            fitting = [each for each in self._waiting.values() if kind in ("", each["message_type"])]
            if fitting:
                letter = max(fitting, key=lambda each: int(each["context"]["priority"]))
                self._note(letter)
                return letter
            self._came.clear()
            await self._came.wait()

    def _note(self, letter: Mapping[str, Any]) -> None:
        message_id = letter["message_id"]
        del self._waiting[message_id]
        self._known[message_id] = letter
        if len(self._known) > LETTERS_MAX:
            del self._known[next(iter(self._known))]
        if not letter["context"]["requires_ack"]:
            self._received(message_id)

    def acknowledge(self, message_id: str) -> None:
        """Say that a letter was received."""
        self._waiting.pop(message_id, None)
        self._received(message_id)

    def send(self, found: object) -> None:
        """Send what an agent has written; raises MessageBroken."""
        draft = read_draft(found)
        assert isinstance(found, dict)  # it was read
        if draft["to"]:
            self._send(found)
            return
        answered = self._known.get(draft["reply_to"])
        if answered is None:
            raise MessageBroken('a message needs "to", or "reply_to" with the id of one that came')
        self._send({**found, "to": answered["source_instance"]})


def read_draft(found: object) -> dict[str, Any]:
    """A draft with all fields, the payload as JSON text; raises MessageBroken."""
    if not isinstance(found, dict):
        raise MessageBroken(f"a message must be an object, found {str(found)[:80]!r}")
    if unknown := sorted(found.keys() - _FIELDS):
        raise MessageBroken(f"a message has no field {str(unknown[0])[:80]!r}; it has: {', '.join(sorted(_FIELDS))}")
    draft = {"to": "", "type": "", "priority": 0, "requires_ack": False, "expires_in": "0s", "reply_to": "", **found}
    for name in ("to", "type", "expires_in", "reply_to"):
        if not isinstance(draft[name], str):
            raise MessageBroken(f'"{name}" of a message must be a text, found {draft[name]!r}')
    if isinstance(draft["priority"], bool) or not isinstance(draft["priority"], int):
        raise MessageBroken(f'"priority" of a message must be a whole number, found {draft["priority"]!r}')
    if not isinstance(draft["requires_ack"], bool):
        raise MessageBroken(f'"requires_ack" of a message must be true or false, found {draft["requires_ack"]!r}')
    draft["type"] = draft["type"] or ("reply" if draft["reply_to"] else TYPE_DEFAULT)
    draft["payload"] = _payload(found.get("payload"))
    try:
        draft["expires_in_ms"] = read_duration(draft.pop("expires_in"))
    except ValueError as error:
        raise MessageBroken(f'"expires_in" of a message: {error}') from error
    return draft


def _payload(found: object) -> str:
    try:
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise MessageBroken(f"the payload cannot be kept as JSON text: {error}") from error
    text = text.encode(errors="replace").decode()
    if (length := len(text.encode())) > PAYLOAD_BYTES_MAX:
        raise MessageBroken(f"the payload has {length} bytes, over the limit of {PAYLOAD_BYTES_MAX}; write an output")
    return text
