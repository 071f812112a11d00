"""Replay finds nothing in what today's code has said, and whatever today's code would say differently."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest_asyncio

from bus.address import open_log, view_log
from bus.assignment import StaticAssignment
from bus.channel import Partition, partition_number
from bus.clock import SystemClock
from bus.codec import Codec
from bus.deadline import Deadlines
from bus.decider import Draft, Role
from bus.difference import DECISION, POST, SILENT, UNREADABLE, Difference
from bus.errors import BlobMissing
from bus.log import Log, Stored
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Envelope, Fact, Record
from bus.redecision import StoredBlobs
from bus.replay import Count, Replay
from bus.runtime import Runtime
from bus.stored_post import StoredPosts
from tests.bus import bank
from tests.bus.bank import CLERK, HOMES, LANGUAGE, ROLES, SAFE, TELLER, CoinDropped, DepositRequested, Receipted
from tests.bus.stored_log import StoredLog

CODEC = Codec(LANGUAGE)
PARTITIONS = 2
LATE = "sha256:late"
HOME = Partition("task", partition_number("w", PARTITIONS))


class Contents:
    """A store that lacks what it is told to lack."""

    def __init__(self, *lacking: str) -> None:
        self._lacking = lacking

    async def get(self, digest: str) -> bytes:
        if digest in self._lacking:
            raise BlobMissing(digest)
        return b"here"


@asynccontextmanager
async def hosting(log: Log, roles: Sequence[Role[Any]] = ROLES) -> AsyncIterator[Publisher]:
    runtime = Runtime(log=log, codec=CODEC, blobs=Contents(), clock=SystemClock(), roles=roles, homes=HOMES)
    assignment, publisher = StaticAssignment(range(PARTITIONS)), Publisher(log, CODEC, SystemClock())
    task = asyncio.create_task(runtime.run(assignment))
    try:
        yield publisher
        assert not runtime.halted
    finally:
        await assignment.close()
        await task
        await publisher.close()
        await runtime.close()


async def settled(log: Log, kind: type[Record], count: int) -> None:
    places = {Partition(kind.channel, number): START for number in range(PARTITIONS)}
    reader = await FencedReader.open(log, CODEC, places, [kind])
    async with asyncio.timeout(120):
        while count > 0:
            count -= len(await reader.read())
    await reader.close()


@pytest_asyncio.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[Log]:
    """The log of two owners: deposits, a repeat, a poison, coins, deadlines, content from the store."""
    log = await open_log(f"sqlite:///{tmp_path / 'log'}", partitions=PARTITIONS)
    async with hosting(log) as publisher:
        await publisher.publish(DepositRequested(workspace_id="w", amount=5, remind_ms=1), record_id="a")
        await publisher.publish(DepositRequested(workspace_id="w", amount=5), record_id="a")
        await publisher.publish(DepositRequested(workspace_id="w", amount=13), record_id="unlucky")
        await publisher.publish(CoinDropped(workspace_id="w"), record_id="coin")
        await settled(log, Receipted, 1)
        await settled(log, bank.Reminded, 2)
    async with hosting(log) as publisher:
        await publisher.publish(DepositRequested(workspace_id="w", amount=7, digest=LATE, accounts=3), record_id="b")
        await publisher.publish(DepositRequested(workspace_id="v", amount=8), record_id="c")
        await settled(log, Receipted, 5)
    await log.close()
    view = await view_log(f"sqlite:///{tmp_path / 'log'}")
    yield view
    await view.close()


async def replay(
    log: Log,
    *roles: Role[Any],
    codec: Codec = CODEC,
    contents: Contents | None = None,
    start: int = 0,
    end: int | None = None,
) -> tuple[list[Difference], Count]:
    found: list[Difference] = []
    total = Count()
    for role in roles or ROLES:
        for number in range(log.partitions):
            replay = Replay(log, codec, StoredBlobs(contents or Contents()), role, number, homes=HOMES)
            found += [each async for step in replay.steps(start, end) for each in step.differences]
            total.decisions += replay.count.decisions
            total.silent += replay.count.silent
            total.unheard += replay.count.unheard
    return found, total


def changed(decide: Callable[[Draft[Any], Envelope], None]) -> Role[Any]:
    """The teller with a Decider of our own."""
    return replace(TELLER, decide=decide)


async def test_nothing_differs_where_nothing_was_changed(recorded: Log) -> None:
    found, count = await replay(recorded)
    assert not found
    # Three deposits, a poison, a coin and two reminders; five forwarded, stored and receipted.
    assert count.decisions == 7 + 15
    assert count.silent == 1  # the repeat
    assert count.unheard == 0


async def test_a_changed_decider_is_found_where_it_decides_differently(recorded: Log) -> None:
    def decide(draft: Draft[bank.Till], heard: Envelope) -> None:
        bank.decide_teller(draft, heard)
        if heard.id == "b":
            draft.facts[1] = draft.facts[1].model_copy(update={"total": 8})

    (difference,), _ = await replay(recorded, changed(decide))
    assert (difference.kind, difference.role, difference.home) == (DECISION, "bank.teller", HOME)
    assert difference.reason == "fact 2 of 3: the Deposited would differ in total"
    stored = await record_at(recorded, HOME, difference.offset)
    assert CODEC.peek(stored).type == "Deposited"
    assert difference.expected[0].id == CODEC.peek(stored).id
    assert [said.fact.total for said in difference.decided] == [12, 8, 7]  # type: ignore[attr-defined]


async def test_fewer_other_and_no_facts_are_told_apart(recorded: Log) -> None:
    def decide(draft: Draft[bank.Till], heard: Envelope) -> None:
        if heard.id == "b":
            draft.add(bank.CoinCounted(workspace_id="w", number=1))
        elif heard.id != "c":
            bank.decide_teller(draft, heard)

    found, _ = await replay(recorded, changed(decide))
    assert sorted(each.reason for each in found) == [
        "fact 1 of 3: a CoinCounted instead of a Deposited",
        "it would decide nothing",
    ]


async def test_an_input_that_led_to_nothing_and_now_would_is_found(recorded: Log) -> None:
    def decide(draft: Draft[bank.Till], heard: Envelope) -> None:
        if isinstance(heard.record, DepositRequested) and heard.id in draft.state.answered:
            draft.add(bank.DepositRefused(workspace_id="w", ask_id=heard.id, reason="again"))
        bank.decide_teller(draft, heard)

    (difference,), _ = await replay(recorded, changed(decide))
    assert (difference.kind, difference.expected) == (SILENT, ())
    assert [said.type for said in difference.decided] == ["DepositRefused"]
    assert CODEC.peek(await record_at(recorded, HOME, int(difference.cause.split("/")[2]))).id == "a"


async def test_what_was_quarantined_and_would_be_decided_now_is_found(recorded: Log) -> None:
    def decide(draft: Draft[bank.Till], heard: Envelope) -> None:
        if heard.id != "unlucky":
            bank.decide_teller(draft, heard)

    (difference,), _ = await replay(recorded, changed(decide))
    assert (difference.kind, difference.reason) == (DECISION, "it would decide nothing")
    assert [said.type for said in difference.expected] == ["InputQuarantined"]


async def test_deadlines_that_would_come_in_another_order_are_found(recorded: Log) -> None:
    earlier = replace(
        TELLER, deadlines=lambda state: state.deadlines.set("first", 1) if state.deadlines else Deadlines()
    )
    found, _ = await replay(recorded, earlier)
    assert {each.kind for each in found} == {DECISION}
    assert all("its next deadline would be first at 1" in each.reason for each in found)
    assert len(found) == 2


async def test_facts_in_another_order_are_found(recorded: Log) -> None:
    def decide(draft: Draft[bank.Till], heard: Envelope) -> None:
        bank.decide_teller(draft, heard)
        draft.facts.reverse()

    found, _ = await replay(recorded, changed(decide))
    assert [each.reason for each in found] == ["fact 1 of 3: the Deposited would differ in account, total"]


async def test_a_fact_that_cannot_be_folded_stops_the_replay_there(recorded: Log) -> None:
    def evolve(state: bank.Till, fact: Fact, time_ms: int) -> bank.Till:
        if isinstance(fact, bank.CoinCounted):
            raise LookupError("who counts coins")
        return bank.evolve_teller(state, fact, time_ms)

    found, _ = await replay(recorded, replace(TELLER, evolve=evolve))
    assert [each.kind for each in found][-1] == UNREADABLE
    assert "who counts coins" in found[-1].reason


async def test_a_type_that_is_no_longer_known_is_found(recorded: Log) -> None:
    codec = Codec([kind for kind in LANGUAGE if kind is not bank.Receipt])
    found, _ = await replay(recorded, SAFE, codec=codec)
    assert [(each.kind, each.role) for each in found] == [(UNREADABLE, "vault.safe")] * len(found)
    assert found


async def test_missing_content_is_named(recorded: Log) -> None:
    (difference,), _ = await replay(recorded, TELLER, contents=Contents(LATE))
    assert difference.lacking == (LATE,)


async def test_a_part_is_replayed_from_the_state_before_it(recorded: Log) -> None:
    """Wherever it begins and ends, only what lies between is decided again, and nothing differs."""
    end = (await recorded.ends([HOME]))[HOME]
    counts = []
    for start in range(end):
        found, count = await replay(recorded, TELLER, start=start)
        assert not found
        counts.append(count.decisions)
        found, _ = await replay(recorded, TELLER, end=start)
        assert not found
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


async def test_posts_are_held_against_the_facts_that_they_carry(recorded: Log) -> None:
    records = await read_all(recorded)
    posts = [
        (partition, at)
        for partition, log in records.items()
        for at, stored in enumerate(log)
        if CODEC.peek(stored).origin.kind == "post"
    ]
    assert len(posts) == 10
    assert not await check_posts(records)
    for partition, at in posts:
        stored = records[partition][at]
        forged = stored._replace(value=stored.value[:-1] + bytes([stored.value[-1] ^ 1]))
        assert len(await check_posts(records | {partition: exchanged(records[partition], at, forged)})) == 1
        headers = [(name, b"0" * 24 if name == "ce_id" else value) for name, value in stored.headers]
        forged = stored._replace(headers=headers)
        assert len(await check_posts(records | {partition: exchanged(records[partition], at, forged)})) == 1


async def test_nothing_differs_after_any_storm() -> None:
    from tests.simulation.bank import run_world

    decisions = 0
    for seed in range(25):
        world = await asyncio.to_thread(run_world, seed)
        log = StoredLog(world.storage.records, world.storage.partitions)
        lacking = [f"blob-{ask_id}" for ask_id in world.asked.missing]
        found, count = await replay(log, contents=Contents(*lacking))
        assert not found, f"seed {seed}: {found[0]}"
        decisions += count.decisions
    assert decisions > 1000


async def record_at(log: Log, partition: Partition, offset: int) -> Stored:
    return (await read_all(log))[partition][offset]


async def read_all(log: Log) -> dict[Partition, list[Stored]]:
    partitions = [Partition(channel, number) for channel in ("task", "event") for number in range(PARTITIONS)]
    ends = await log.ends(partitions)
    found: dict[Partition, list[Stored]] = {partition: [] for partition in partitions}
    for partition, records in found.items():
        reader = await log.reader({partition: 0})
        while len(records) < ends[partition]:
            records += (await reader.read())[partition]
        await reader.close()
    return found


def exchanged(records: Sequence[Stored], at: int, record: Stored) -> list[Stored]:
    return [*records[:at], record, *records[at + 1 :]]


async def check_posts(records: dict[Partition, list[Stored]]) -> list[Difference]:
    log = StoredLog(records, PARTITIONS)
    posts = StoredPosts(log, CODEC, HOMES)
    found = [each for role in (CLERK, SAFE) for n in range(PARTITIONS) async for each in posts.check(role, n)]
    assert {each.kind for each in found} <= {POST}
    return found
