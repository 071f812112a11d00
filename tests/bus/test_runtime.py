"""The runtime on real logs: claims, decisions, posts, deadlines, recovery, quarantine."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.address import open_log
from bus.assignment import StaticAssignment
from bus.channel import Partition
from bus.clock import SystemClock
from bus.codec import Codec
from bus.decider import Role
from bus.errors import BlobMissing
from bus.log import Log
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Envelope, Heard, InputQuarantined
from bus.runtime import Runtime
from bus.snapshot import Snapshots
from tests.bus.bank import CLERK, HOMES, LANGUAGE, ROLES, SAFE, TELLER, Deposited, DepositRequested, Reminded, Stored

CODEC = Codec(LANGUAGE)
PARTITIONS = 2


class MemoryBlobs:
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    async def get(self, digest: str) -> bytes:
        if digest not in self.contents:
            raise BlobMissing(digest)
        return self.contents[digest]


@asynccontextmanager
async def running(
    log: Log,
    roles: Sequence[Role[Any]] = ROLES,
    blobs: MemoryBlobs | None = None,
    snapshots: Snapshots | None = None,
) -> AsyncIterator[Runtime]:
    runtime = Runtime(
        log=log,
        codec=CODEC,
        blobs=blobs or MemoryBlobs(),
        clock=SystemClock(),
        roles=roles,
        homes=HOMES,
        snapshots=snapshots,
    )
    assignment = StaticAssignment(range(PARTITIONS))
    task = asyncio.create_task(runtime.run(assignment))
    try:
        yield runtime
    finally:
        await assignment.close()
        await task
        await runtime.close()


async def facts(log: Log, channel: str, wanted: type[Any], count: int) -> list[Envelope]:
    places = {Partition(channel, number): START for number in range(PARTITIONS)}
    reader = await FencedReader.open(log, CODEC, places, [wanted])
    found: list[Envelope] = []
    async with asyncio.timeout(120):
        while len(found) < count:
            found += await reader.read()
    await reader.close()
    return found


@pytest.fixture(params=["sqlite", "kafka"])
async def log(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> AsyncIterator[Log]:
    url = (
        f"sqlite:///{tmp_path / 'log'}" if request.param == "sqlite" else f"kafka://{request.getfixturevalue('kafka')}"
    )
    log = await open_log(url, namespace=namespace, partitions=PARTITIONS)
    yield log
    await log.close()


async def test_asks_lead_to_facts_and_posts_reach_the_other_key(log: Log) -> None:
    async with running(log) as runtime:
        publisher = Publisher(log, CODEC, SystemClock())
        for n in range(100):
            await publisher.publish(DepositRequested(workspace_id=f"w{n % 5}", amount=1), record_id=f"ask-{n}")
        stored = await facts(log, "event", Stored, 100)
        assert sorted(e.record.ask_id for e in stored) == sorted(f"ask-{n}" for n in range(100))
        assert not runtime.halted
        await publisher.close()


async def test_an_ask_delivered_twice_is_decided_once(log: Log) -> None:
    async with running(log):
        publisher = Publisher(log, CODEC, SystemClock())
        for record_id in ("a", "a", "b"):
            await publisher.publish(DepositRequested(workspace_id="w", amount=2), record_id=record_id)
        deposited = await facts(log, "task", Deposited, 2)
        assert [e.record.total for e in deposited] == [2, 4]
        await publisher.close()


async def test_a_new_owner_goes_on_where_the_old_one_stopped(log: Log) -> None:
    publisher = Publisher(log, CODEC, SystemClock())
    for n in range(3):
        async with running(log):
            await publisher.publish(DepositRequested(workspace_id="w", amount=1), record_id=f"ask-{n}")
            await facts(log, "event", Stored, n + 1)
        await publisher.publish(DepositRequested(workspace_id="w", amount=1000), record_id="late")
    async with running(log):
        deposited = await facts(log, "task", Deposited, 4)
        stored = await facts(log, "event", Stored, 4)
    assert [e.record.total for e in deposited] == [1, 1001, 1002, 1003]
    epochs = [e.origin.epoch for e in deposited]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) >= 3
    assert len({e.record.ask_id for e in stored}) == len(stored) == 4
    await publisher.close()


async def test_an_orderly_hand_over_notes_how_far_it_heard(log: Log) -> None:
    publisher = Publisher(log, CODEC, SystemClock())
    async with running(log):
        await publisher.publish(DepositRequested(workspace_id="w", amount=1))
        await facts(log, "event", Stored, 1)
    heard = await facts(log, "task", Heard, 1)
    assert [(i.channel, i.offset > 0) for i in heard[0].record.inputs] == [("task", True)]
    before = await log.ends([Partition("task", n) for n in range(PARTITIONS)])
    async with running(log) as runtime:
        await runtime.decides()
    after = await log.ends(before)
    assert sum(after.values()) - sum(before.values()) == PARTITIONS  # two claims and nothing else: it heard nothing new
    await publisher.close()


async def test_deadlines_wake_the_decider_once(log: Log) -> None:
    async with running(log):
        publisher = Publisher(log, CODEC, SystemClock())
        await publisher.publish(DepositRequested(workspace_id="w", amount=1, remind_ms=50), record_id="ask")
        reminded = await facts(log, "task", Reminded, 2)
        deposited = await facts(log, "task", Deposited, 1)
        assert reminded[0].time_ms >= deposited[0].time_ms + 50
        assert reminded[1].time_ms >= reminded[0].time_ms + 50
        assert [e.record.round for e in reminded] == [1, 2]
        assert all(e.origin.cause.startswith("deadline:ask@") for e in reminded)
        await publisher.close()


async def test_what_cannot_be_decided_is_quarantined_once_and_the_rest_goes_on(log: Log) -> None:
    publisher = Publisher(log, CODEC, SystemClock())
    async with running(log):
        for amount in (1, 13, 2):
            await publisher.publish(DepositRequested(workspace_id="w", amount=amount))
        await facts(log, "event", Stored, 2)
    async with running(log):
        await publisher.publish(DepositRequested(workspace_id="w", amount=3))
        await facts(log, "event", Stored, 3)
    quarantined = await facts(log, "task", InputQuarantined, 1)
    assert len(quarantined) == 1
    assert "thirteen is unlucky" in quarantined[0].record.reason
    await publisher.close()


async def test_an_input_waits_for_its_blob_and_keeps_its_place(log: Log) -> None:
    blobs = MemoryBlobs()
    async with running(log, blobs=blobs):
        publisher = Publisher(log, CODEC, SystemClock())
        await publisher.publish(DepositRequested(workspace_id="w", amount=1, digest="sha256:late"), record_id="a")
        await publisher.publish(DepositRequested(workspace_id="w", amount=2), record_id="b")
        blobs.contents["sha256:late"] = b"here"
        deposited = await facts(log, "task", Deposited, 2)
        assert [e.record.ask_id for e in deposited] == ["a", "b"]
        await publisher.close()


async def test_of_two_owners_one_decides_and_nothing_is_done_twice(log: Log) -> None:
    publisher = Publisher(log, CODEC, SystemClock())
    async with running(log, [TELLER, CLERK, SAFE]) as first:
        await first.decides()
        async with running(log):
            for n in range(50):
                await publisher.publish(DepositRequested(workspace_id="w", amount=1), record_id=f"ask-{n}")
            stored = await facts(log, "event", Stored, 50)
    assert len({e.record.ask_id for e in stored}) == len(stored) == 50
    deposited = await facts(log, "task", Deposited, 50)
    assert [e.record.total for e in deposited] == list(range(1, 51))
    await publisher.close()
