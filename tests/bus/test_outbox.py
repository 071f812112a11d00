"""The outbox sends whole decisions within the limits, and confirms them as they are read back."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bus.channel import Partition
from bus.codec import Codec
from bus.decider import DECISION_BYTES_MAX
from bus.errors import AppendUnknown, RecordTooLarge
from bus.log import BATCH_BYTES_MAX, RECORD_BYTES_MAX, Raw, size
from bus.outbox import PENDING_RECORDS_MAX, UNACKNOWLEDGED_BATCHES_MAX, Outbox
from bus.record import Fact, Origin, derive_id
from tests.bus.bank import LANGUAGE, Reminded
from tests.simulation.schedule_owner import Pending

CODEC = Codec(LANGUAGE)
HOME = Partition("task", 0)
CLAIM = Origin("claim", "bank.teller", "s1", 3)


def fact(kilobytes: int = 0) -> Fact:
    return Reminded(workspace_id="w", ask_id="x" * kilobytes * 1024, round=1)


class Wire:
    """Keeps what it was given until it is told to answer."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Raw]] = []
        self.pending: list[Pending] = []

    def append(self, partition: Partition, records: Sequence[Raw]) -> Future[int]:
        assert partition == HOME
        pending: Any = Pending()
        self.batches.append(records)
        self.pending.append(pending)
        return pending  # type: ignore[no-any-return]

    def acknowledge(self) -> None:
        self.pending.pop(0).end(0)

    async def close(self) -> None:
        pass


class Case:
    """An outbox, its wire, and what it told."""

    def __init__(self) -> None:
        self.wire, self.acknowledged, self.failed = Wire(), 0, list[BaseException]()
        self.outbox = Outbox(CODEC, self.wire, HOME, CLAIM, acknowledged=self._count, failed=self.failed.append)

    def _count(self) -> None:
        self.acknowledged += 1

    def stage(self, name: str, *facts: Fact, state: Any = None) -> None:
        self.outbox.stage(facts, f"task/0/{len(name)}", name, "a" * 32, 5, state)

    def origins(self, batch: int) -> list[Origin]:
        found = []
        for raw in self.wire.batches[batch]:
            kind, role, session, *numbers, cause = dict(raw.headers)["clawx"].decode().split("|", 7)
            epoch, seq, part, parts = map(int, numbers)
            found.append(Origin(kind, role, session, epoch, seq, part, parts, cause))
        return found


@pytest.fixture
def case() -> Case:
    return Case()


def test_facts_carry_the_claim_a_dense_number_and_their_place_in_the_decision(case: Case) -> None:
    case.stage("a", fact(), fact())
    case.stage("bb", fact())
    case.outbox.flush()
    assert case.origins(0) == [
        Origin("fact", "bank.teller", "s1", 3, 0, 0, 2, "task/0/1"),
        Origin("fact", "bank.teller", "s1", 3, 1, 1, 2, "task/0/1"),
        Origin("fact", "bank.teller", "s1", 3, 2, 0, 1, "task/0/2"),
    ]
    ids = [dict(raw.headers)["ce_id"].decode() for raw in case.wire.batches[0]]
    assert ids == [derive_id("bank.teller", *parts) for parts in (("a", 0), ("a", 1), ("bb", 0))]


def test_nothing_is_sent_before_the_flush_and_then_all_at_once(case: Case) -> None:
    for name in "abc":
        case.stage(name, fact())
    assert not case.wire.batches
    case.outbox.flush()
    assert [len(batch) for batch in case.wire.batches] == [3]
    settled = [case.outbox.is_settled]
    case.wire.acknowledge()
    assert [*settled, case.outbox.is_settled] == [False, True]
    assert case.acknowledged == 1


def test_what_is_decided_while_enough_is_on_its_way_shares_the_next_batch(case: Case) -> None:
    for _ in range(UNACKNOWLEDGED_BATCHES_MAX + 5):
        case.stage("a", fact())
        case.outbox.flush()
    assert len(case.wire.batches) == UNACKNOWLEDGED_BATCHES_MAX
    case.wire.acknowledge()
    assert [len(batch) for batch in case.wire.batches] == [1] * UNACKNOWLEDGED_BATCHES_MAX + [5]


DECISIONS = some.lists(some.lists(some.integers(0, 100), min_size=1, max_size=6), min_size=1, max_size=15)


@settings(deadline=None, max_examples=60)
@given(DECISIONS, some.lists(some.booleans(), min_size=1, max_size=15))
def test_batches_hold_whole_decisions_and_stay_within_the_limits(sizes: list[list[int]], answers: list[bool]) -> None:
    case, numbers = Case(), list[int]()
    for at, kilobytes in enumerate(sizes):
        facts = [fact(each) for each in kilobytes]
        try:
            case.stage(f"d{at}", *facts)
        except RecordTooLarge:
            assert sum(kilobytes) * 1024 > DECISION_BYTES_MAX * 0.9
            continue
        numbers.append(len(facts))
        if answers[at % len(answers)]:
            case.outbox.flush()
            if case.wire.pending:
                case.wire.acknowledge()
    while case.wire.pending or not case.outbox.is_settled:
        case.outbox.flush()
        case.wire.acknowledge()
    seqs = []
    for number, batch in enumerate(case.wire.batches):
        assert sum(map(size, batch)) <= BATCH_BYTES_MAX
        origins = case.origins(number)
        assert origins[0].part == 0
        assert origins[-1].part == origins[-1].parts - 1
        seqs += [origin.seq for origin in origins]
    assert seqs == list(range(sum(numbers)))


def test_a_decision_that_is_too_large_takes_nothing_with_it(case: Case) -> None:
    case.stage("a", fact())
    with pytest.raises(RecordTooLarge, match=f"over the limit of {RECORD_BYTES_MAX}"):
        case.stage("b", fact(), fact(RECORD_BYTES_MAX // 1024))
    with pytest.raises(RecordTooLarge, match=f"over the limit of {DECISION_BYTES_MAX}"):
        case.stage("c", *[fact(100)] * 6)
    case.stage("d", fact())
    case.outbox.flush()
    assert [origin.seq for origin in case.origins(0)] == [0, 1]


def test_decisions_are_confirmed_when_their_batch_is_whole_in_the_log(case: Case) -> None:
    case.stage("a", fact(), fact(), state="one")
    case.stage("b", fact(), state="two")
    case.outbox.flush()
    case.stage("c", fact(), state="three")
    case.outbox.flush()
    assert not case.outbox.read_back(0)
    assert not case.outbox.read_back(1)
    assert [staged.state for staged in case.outbox.read_back(2)] == ["one", "two"]
    assert case.outbox.confirmed_seq == 2
    assert [staged.state for staged in case.outbox.read_back(3)] == ["three"]
    assert not case.outbox.read_back(3)


def test_a_failed_append_is_told_and_nothing_more_is_sent(case: Case) -> None:
    case.stage("a", fact())
    case.outbox.flush()
    case.stage("b", fact())
    error = AppendUnknown("no answer")
    case.wire.pending[0].end(None, error)
    assert case.failed == [error]
    assert len(case.wire.batches) == 1
    assert not case.acknowledged


def fill(case: Case, stage: Callable[[], None], times: int) -> int:
    for number in range(times):
        if not case.outbox.has_room:
            return number
        stage()
        case.outbox.flush()
    return times


def test_there_is_no_room_when_too_many_facts_wait(case: Case) -> None:
    staged = fill(case, lambda: case.stage("a", fact()), 3 * PENDING_RECORDS_MAX)
    assert staged == PENDING_RECORDS_MAX + UNACKNOWLEDGED_BATCHES_MAX
    case.wire.acknowledge()
    assert case.outbox.has_room


def test_there_is_no_room_when_large_decisions_pile_up_on_a_slow_log(case: Case) -> None:
    """They leave in batches of their own, so that what is pending never gets long."""
    staged = fill(case, lambda: case.stage("a", *[fact(120)] * 4), 100)
    assert staged <= UNACKNOWLEDGED_BATCHES_MAX + 2
    while case.wire.pending:
        case.wire.acknowledge()
    assert case.outbox.has_room
