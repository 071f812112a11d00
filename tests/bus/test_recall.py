"""What is recalled of an aggregate: its own facts alone, up to the end of a decision, and only those that count."""

from dataclasses import replace

import pytest

from bus.channel import Partition
from bus.codec import Codec
from bus.log import Stored
from bus.memory import Memory, Recall, Recalled
from bus.recall import Recaller, recall
from bus.record import Claimed, Fact, Origin, Record, derive_id, derive_trace
from tests.bus.bank import LANGUAGE, TELLER, Deposited
from tests.bus.stored_log import StoredLog

HOME = Partition("task", 0)
CODEC = Codec(LANGUAGE)


def _concerns(ask_id: str, fact: Fact) -> bool:
    return getattr(fact, "ask_id", "") == ask_id


MEMORY = Memory(
    wants=lambda state, heard: None,
    needs=lambda recalled, heard: (),
    concerns=_concerns,
    marks=lambda mark, fact: isinstance(fact, Deposited) and str(fact.account) == mark,
)
ROLE = replace(TELLER, memory=MEMORY)


class Tape:
    """A home partition as sessions wrote it."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self._seq = 0

    def claim(self, session: str, epoch: int) -> "Tape":
        self._seq = 0
        self._add(Claimed(role=TELLER.name, session=session, epoch=epoch), Origin("claim", TELLER.name, session, epoch))
        return self

    def decide(self, *facts: Fact, session: str = "a" * 16, epoch: int = 1, skip: int = 0) -> int:
        """One decision; gives the offset of its first fact. With `skip` so many facts before it are missing."""
        first = len(self.stored)
        self._seq += skip
        for part, fact in enumerate(facts):
            self._add(fact, Origin("fact", TELLER.name, session, epoch, self._seq + part, part, len(facts), "task/0/0"))
        self._seq += len(facts)
        return first

    def _add(self, record: Record, origin: Origin) -> None:
        offset = len(self.stored)
        raw = CODEC.encode(
            record, record_id=derive_id("r", offset), origin=origin, time_ms=1000 + offset, trace=derive_trace("t")
        )
        self.stored.append(Stored(offset, raw.key, raw.value, raw.headers, 1000 + offset))

    async def recall(self, at: int = -1, mark: str = "", before: int = 10_000) -> Recalled:
        log = StoredLog({HOME: self.stored}, 1)
        before = min(before, len(self.stored))
        return await recall(log, CODEC, ROLE, HOME, Recall("x", before, at, mark))


def deposit(account: int, ask_id: str = "x") -> Deposited:
    return Deposited(workspace_id="w", account=account, amount=1, total=account, ask_id=ask_id)


@pytest.fixture
def tape() -> Tape:
    return Tape().claim("a" * 16, 1)


async def test_a_point_inside_a_decision_means_its_end_and_others_do_not_count(tape: Tape) -> None:
    first = tape.decide(deposit(1), deposit(2))
    tape.decide(deposit(7, "other"))
    tape.decide(deposit(3))
    found = await tape.recall(at=first)
    alone = Tape().claim("a" * 16, 1)
    alone.decide(deposit(1), deposit(2))
    assert (found.offset, found.time_ms) == (first + 1, 1000 + first + 1)
    assert found.state == (await alone.recall(at=first)).state
    assert found.state != (await tape.recall(at=len(tape.stored) - 1)).state


async def test_a_mark_is_of_the_last_decision_that_has_it_before_the_ask(tape: Tape) -> None:
    tape.decide(deposit(1))
    second = tape.decide(deposit(1), deposit(2))
    third = tape.decide(deposit(1))
    assert (await tape.recall(mark="1")).offset == third
    assert (await tape.recall(mark="1", before=third)).offset == second + 1
    assert (await tape.recall(mark="9")).offset == -1


async def test_a_zombies_words_and_what_stands_behind_a_gap_are_not_recalled(tape: Tape) -> None:
    good = tape.decide(deposit(1))
    tape.claim("b" * 16, 2)
    tape.decide(deposit(5), skip=1)  # the old session speaks on
    assert (await tape.recall(mark="5")).offset == -1
    tape.decide(deposit(6), session="b" * 16, epoch=2, skip=1)
    assert (await tape.recall(mark="6")).offset == -1
    assert (await tape.recall(at=len(tape.stored) - 1)).offset == good


async def test_a_session_waits_until_it_is_recalled(tape: Tape) -> None:
    tape.decide(deposit(1))
    told: list[bool] = []
    recaller = Recaller(StoredLog({HOME: tape.stored}, 1), CODEC, lambda: told.append(True))
    wanted = Recall("x", len(tape.stored), 1)
    assert recaller.now(ROLE, HOME, wanted) is None
    await next(iter(recaller._tasks.values()))
    found = recaller.now(ROLE, HOME, wanted)
    assert told == [True]
    assert found is not None
    assert found.offset == 1
    await recaller.close()
