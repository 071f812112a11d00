"""A mailbox gives out letters by their urgency, and lets nothing out that is no message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from services.factory.agents.mailbox import PAYLOAD_BYTES_MAX, Mailbox, MessageBroken, read_draft


class Ends:
    """What went out of a mailbox."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.received: list[str] = []
        self.mailbox = Mailbox(self.sent.append, self.received.append)


def letter(message_id: str, *, priority: int = 0, requires_ack: bool = False, kind: str = "request") -> dict[str, Any]:
    return {
        "message_id": message_id,
        "source_instance": "bob",
        "message_type": kind,
        "payload": 1,
        "context": {"priority": priority, "requires_ack": requires_ack},
    }


async def test_the_urgent_come_first_and_each_once() -> None:
    ends = Ends()
    for each in (letter("a"), letter("b", priority=5), letter("a")):
        ends.mailbox.put(each)
    assert [(await ends.mailbox.take())["message_id"] for _ in range(2)] == ["b", "a"]
    assert ends.received == ["b", "a"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ends.mailbox.take(), 0.05)


async def test_who_waits_gets_what_comes_later_and_only_what_it_wants() -> None:
    ends = Ends()
    waiting = asyncio.create_task(ends.mailbox.take("reply"))
    await asyncio.sleep(0)
    ends.mailbox.put(letter("a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    ends.mailbox.put(letter("b", kind="reply"))
    assert (await waiting)["message_id"] == "b"


async def test_what_must_be_acknowledged_is_not_received_by_being_taken() -> None:
    ends = Ends()
    ends.mailbox.put(letter("a", requires_ack=True))
    await ends.mailbox.take()
    assert ends.received == []
    ends.mailbox.acknowledge("a")
    assert ends.received == ["a"]


async def test_an_answer_goes_to_whoever_wrote() -> None:
    ends = Ends()
    ends.mailbox.put(letter("a"))
    await ends.mailbox.take()
    ends.mailbox.send({"reply_to": "a", "payload": {"yes": True}})
    assert ends.sent == [{"reply_to": "a", "payload": {"yes": True}, "to": "bob"}]
    assert read_draft(ends.sent[0])["type"] == "reply"
    with pytest.raises(MessageBroken, match='needs "to"'):
        ends.mailbox.send({"reply_to": "unheard of"})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("hello", "must be an object"),
        ({"to": "bob", "urgent": 1}, "no field 'urgent'"),
        ({"to": 1}, '"to" of a message must be a text'),
        ({"to": "bob", "priority": "high"}, '"priority" of a message must be a whole number'),
        ({"to": "bob", "priority": True}, '"priority" of a message must be a whole number'),
        ({"to": "bob", "requires_ack": 1}, '"requires_ack" of a message must be true or false'),
        ({"to": "bob", "expires_in": "soon"}, '"expires_in" of a message'),
        ({"to": "bob", "payload": float("nan")}, "cannot be kept as JSON"),
        ({"to": "bob", "payload": "x" * PAYLOAD_BYTES_MAX}, "over the limit"),
    ],
)
def test_what_is_no_message_is_refused_with_a_sentence(found: Any, words: str) -> None:
    with pytest.raises(MessageBroken, match=words):
        read_draft(found)
