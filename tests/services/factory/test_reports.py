"""Reports reach the log, in order and once, however long it is away."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bus.channel import Partition
from bus.clock import SystemClock
from bus.errors import AppendUnknown, RecordTooLarge, Unavailable
from bus.log import Appender, Log, Raw, Reader
from bus.publisher import Publisher
from services.factory.journal import Journal
from services.factory.reports import Reports
from services.records.node import NodeLeft
from tests.eventually import eventually
from tests.services.factory.world import CODEC, World


class FaultyLog:
    """A log whose appends fail while it has faults left, before or after they are written."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.faults: list[Exception] = []
        self.batches: list[int] = []
        self.namespace, self.partitions = log.namespace, log.partitions

    async def appender(self) -> Appender:
        return FaultyAppender(self, await self._log.appender())

    async def reader(self, positions: Mapping[Partition, int]) -> Reader:
        return await self._log.reader(positions)

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return await self._log.starts(partitions)

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return await self._log.ends(partitions)

    async def close(self) -> None:
        await self._log.close()


class FaultyAppender:
    """Fails before an append, or after it when the fault is that nobody knows."""

    def __init__(self, log: FaultyLog, appender: Appender) -> None:
        self._log, self._appender = log, appender

    def append(self, partition: Partition, records: Sequence[Raw]) -> "asyncio.Future[int]":
        fault = self._log.faults.pop(0) if self._log.faults else None
        if fault is None or isinstance(fault, AppendUnknown):
            self._log.batches.append(len(records))
            written = self._appender.append(partition, records)
            if fault is None:
                return written
        failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        failed.set_exception(fault)
        return failed

    async def close(self) -> None:
        await self._appender.close()


class Desk:
    """Reports, their journal, and a log that may be away."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.log = FaultyLog(world.log)
        self.open()

    def open(self) -> None:
        self.journal = Journal(self.world.directory)
        self.publisher = Publisher(self.log, CODEC, SystemClock())
        self.reports = Reports(self.publisher, CODEC, SystemClock(), self.log.partitions, self.journal)

    async def close(self) -> None:
        await self.reports.close()
        await self.publisher.close()
        self.journal.close()

    def add(self, number: int, **options: Any) -> None:
        left = NodeLeft(pool="default", node_id="n", node_session=str(number))
        self.reports.add(left, f"{number:024}", **options)

    def arrived(self) -> list[str]:
        return [each.node_session for each in self.world.all(NodeLeft)]


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("services.factory.reports.RETRY_MS", 5)
    async with World.open(tmp_path) as world:
        desk = Desk(world)
        yield desk
        await desk.close()


async def test_reports_of_one_turn_are_one_batch(desk: Desk) -> None:
    for number in range(100):
        desk.add(number)
    await desk.reports.drain()
    assert desk.log.batches == [100]
    await eventually(lambda: desk.arrived() == [str(number) for number in range(100)])
    assert desk.journal.reports == {}


@pytest.mark.parametrize("kept", [True, False])
async def test_reports_wait_for_a_log_that_is_away(desk: Desk, kept: bool) -> None:
    desk.log.faults = [Unavailable("away")] * 4
    told: list[int] = []
    for number in range(3):
        desk.add(number, kept=kept, told=lambda number=number: told.append(number))
    await eventually(lambda: len(desk.log.faults) < 2)
    assert told == []
    assert len(desk.journal.reports) == 3, "in the journal while they wait, whoever made them"
    await desk.reports.drain()
    assert told == [0, 1, 2]
    assert desk.journal.reports == {}
    await eventually(lambda: desk.arrived() == ["0", "1", "2"])


async def test_a_report_of_unknown_fate_is_repeated_under_its_id(desk: Desk) -> None:
    desk.log.faults = [AppendUnknown("who knows")]
    desk.add(1)
    await desk.reports.drain()
    await eventually(lambda: desk.arrived() == ["1", "1"])
    assert len({each.id for each in desk.world.heard}) == 1


async def test_what_could_not_be_said_is_said_by_the_next_life(desk: Desk) -> None:
    desk.log.faults = [Unavailable("away")] * 1000
    desk.add(1)
    desk.add(2)
    await eventually(lambda: len(desk.log.faults) < 1000)
    await desk.close()
    desk.log.faults = []
    desk.open()
    desk.reports.repeat()
    await desk.reports.drain()
    await eventually(lambda: desk.arrived() == ["1", "2"])
    assert [each.id for each in desk.world.heard] == [f"{1:024}", f"{2:024}"]
    assert desk.journal.reports == {}


async def test_a_failure_that_will_not_pass_is_not_swallowed(desk: Desk) -> None:
    desk.log.faults = [RecordTooLarge("too large")]
    desk.add(1)
    with pytest.raises(RecordTooLarge):
        await desk.reports.drain()
