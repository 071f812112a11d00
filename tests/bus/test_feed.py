"""A feed hands out what counts, sets aside what nobody can decode, and halts whom it leaves without a fact."""

from __future__ import annotations

from typing import Any

from bus.channel import Partition, Position
from bus.codec import Codec, Peek
from bus.decider import Role
from bus.feed import PartitionFeed, Subscription
from bus.log import Stored
from bus.reader import START
from bus.record import Claimed, Envelope, Fact, Origin, Record
from tests.bus.bank import CLERK, LANGUAGE, Deposited, DepositRequested

CODEC = Codec(LANGUAGE)
ASK = DepositRequested(workspace_id="w", amount=1)


class Listener:
    """Notes what a feed tells it."""

    has_room = True

    def __init__(self) -> None:
        self.heard: list[Envelope] = []
        self.set_aside: list[int] = []
        self.halted: list[str] = []

    def hear(self, envelope: Envelope) -> None:
        self.heard.append(envelope)

    def read_back(self, stored: Stored, peek: Peek, counts: bool) -> None:
        pass

    def quarantine_undecodable(self, at: Position, stored: Stored, error: Exception) -> None:
        self.set_aside.append(at.offset)

    def halt(self, reason: str) -> None:
        self.halted.append(reason)

    def flush(self) -> None:
        pass


def feed(codec: Codec, role: Role[Any], *, quarantines: bool) -> tuple[PartitionFeed, Listener]:
    found, listener = PartitionFeed(Partition("task", 0), codec, START), Listener()
    found.add(Subscription(listener, role.name, role.heard_on("task"), at_home=False, quarantines=quarantines), 0)
    return found, listener


def said(*records: tuple[Record, Origin]) -> list[Stored]:
    raws = [CODEC.encode(r, record_id="ab" * 12, origin=o, time_ms=1, trace="a" * 32) for r, o in records]
    return [Stored(at, raw.key, raw.value, raw.headers, raw.time_ms) for at, raw in enumerate(raws)]


def claimed_fact(fact: Fact) -> list[Stored]:
    claim = Claimed(role="bank.teller", session="s", epoch=1)
    return said(
        (claim, Origin("claim", "bank.teller", "s", 1)),
        (fact, Origin("fact", "bank.teller", "s", 1, 0, cause="task/0/0")),
    )


FACT = Deposited(workspace_id="w", account=0, amount=1, total=1, ask_id="a")


def test_a_type_that_it_should_know_and_does_not_halts_it_loudly() -> None:
    older = Codec(kind for kind in LANGUAGE if kind is not Deposited)
    found, listener = feed(older, CLERK, quarantines=False)
    found.deliver(claimed_fact(FACT))
    assert not listener.heard
    assert "Deposited" in listener.halted[0]
    assert "upgrade" in listener.halted[0]


def test_a_fact_of_another_role_that_cannot_be_decoded_halts_who_hears_it() -> None:
    found, listener = feed(CODEC, CLERK, quarantines=False)
    claim, fact = claimed_fact(FACT)
    found.deliver([claim, fact._replace(value=fact.value[:12])])
    assert listener.halted


def test_who_quarantines_a_channel_examines_what_nobody_here_hears() -> None:
    found, listener = feed(CODEC, CLERK, quarantines=True)
    good, bad = said((ASK, Origin("ask")), (ASK, Origin("ask")))
    found.deliver([good, bad._replace(value=b"garbage")])
    assert listener.set_aside == [1]
    assert not listener.heard


def test_a_fact_that_counts_is_heard_and_one_that_does_not_is_passed_over() -> None:
    found, listener = feed(CODEC, CLERK, quarantines=True)
    zombie = said((FACT, Origin("fact", "bank.teller", "zombie", 1, 0)))[0]
    found.deliver([*claimed_fact(FACT), zombie._replace(offset=2)])
    assert [each.record for each in listener.heard] == [FACT]
    assert not listener.halted
