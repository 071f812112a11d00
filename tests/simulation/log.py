"""A log in memory, seen through one handle for each process, with faults at every call."""

from __future__ import annotations

import asyncio
import random
from asyncio import Future
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bus.channel import CHANNELS, Partition
from bus.errors import AppendUnknown, Unavailable
from bus.log import Raw, Stored


@dataclass(slots=True, kw_only=True)
class Weather:
    """How likely each fault is, for each call."""

    lost: float = 0.0  # an append of unknown outcome that never lands
    late: float = 0.0  # … that lands later, perhaps after its process is gone
    unheard: float = 0.0  # … that landed: the acknowledgement is lost
    slow: float = 0.0  # an append or read that takes much longer
    unavailable: float = 0.0  # a read or a look at the ends that fails


CALM = Weather()
STORM = Weather(lost=0.01, late=0.01, unheard=0.01, slow=0.05, unavailable=0.01)


class Storage:
    """What is really in the log."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.records: dict[Partition, list[Stored]] = {
            Partition(channel, number): [] for channel in CHANNELS for number in range(partitions)
        }
        self._arrivals: dict[Future[None], None] = {}

    def land(self, partition: Partition, batch: Sequence[Raw]) -> int:
        """Write a batch and wake all readers; gives its first offset."""
        log = self.records[partition]
        base = len(log)
        log.extend(Stored(base + i, *raw) for i, raw in enumerate(batch))
        arrivals, self._arrivals = self._arrivals, {}
        for arrival in arrivals:
            if not arrival.done():
                arrival.set_result(None)
        return base

    async def arrival(self) -> None:
        """Wait until anything lands."""
        future: Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals[future] = None
        try:
            await future
        finally:
            self._arrivals.pop(future, None)


class SimulatedLog:
    """One process's view of the log."""

    namespace = "simulated"

    def __init__(self, storage: Storage, rng: random.Random, weather: Weather) -> None:
        self.storage, self.rng, self.weather = storage, rng, weather
        self.dead = False
        self._awake = asyncio.Event()
        self._awake.set()

    @property
    def partitions(self) -> int:
        return self.storage.partitions

    def pause(self) -> None:
        """Stop answering, as a process that does not get the CPU; what it sent before still arrives."""
        self._awake.clear()

    def resume(self) -> None:
        self._awake.set()

    async def delay(self) -> None:
        """The time one call takes."""
        slow = self.rng.random() < self.weather.slow
        await asyncio.sleep(self.rng.uniform(0.05, 0.8) if slow else self.rng.uniform(0.0001, 0.003))
        await self._awake.wait()
        if self.dead:
            await asyncio.Event().wait()
        if self.rng.random() < self.weather.unavailable:
            raise Unavailable("simulated: no answer")

    async def appender(self) -> SimulatedAppender:
        await self.delay()
        return SimulatedAppender(self)

    async def reader(self, positions: Mapping[Partition, int]) -> SimulatedReader:
        await self.delay()
        return SimulatedReader(self, positions)

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        await self.delay()
        return {partition: len(self.storage.records[partition]) for partition in partitions}

    async def close(self) -> None:
        self.dead = True


class SimulatedAppender:
    """A producer session: one batch after the other to each partition; spent after an unknown outcome."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log
        self._queues: dict[Partition, asyncio.Queue[tuple[Sequence[Raw], Future[int]]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._spent = False

    def append(self, partition: Partition, records: Sequence[Raw]) -> Future[int]:
        future: Future[int] = asyncio.get_running_loop().create_future()
        if self._spent:
            future.set_exception(AppendUnknown("this appender is spent"))
            return future
        if partition not in self._queues:
            self._queues[partition] = asyncio.Queue()
            self._tasks.append(asyncio.create_task(self._work(partition)))
        self._queues[partition].put_nowait((records, future))
        return future

    async def _work(self, partition: Partition) -> None:
        """Send in order. A batch may be lost while those behind it land: fences must hold against that."""
        log, queue = self._log, self._queues[partition]
        while True:
            batch, future = await queue.get()
            slow = log.rng.random() < log.weather.slow
            await asyncio.sleep(log.rng.uniform(0.05, 0.8) if slow else log.rng.uniform(0.0001, 0.004))
            dice, weather = log.rng.random(), log.weather
            if dice < weather.lost:
                self._fail(future)
            elif dice < weather.lost + weather.late:
                self._fail(future)
                await asyncio.sleep(log.rng.uniform(0.0, 2.0))
                log.storage.land(partition, batch)
            else:
                base = log.storage.land(partition, batch)
                if dice > 1 - weather.unheard:
                    self._fail(future)
                else:
                    await self._answer(future, base)

    async def _answer(self, future: Future[int], base: int) -> None:
        await self._log._awake.wait()
        if not future.done() and not self._log.dead:
            future.set_result(base)

    def _fail(self, future: Future[int]) -> None:
        self._spent = True
        if not future.done() and not self._log.dead:
            future.set_exception(AppendUnknown("simulated: no acknowledgement"))
            future.exception()

    async def close(self) -> None:
        """What is on its way goes on arriving."""
        self._spent = True


class SimulatedReader:
    """Reads each channel at its own pace."""

    def __init__(self, log: SimulatedLog, positions: Mapping[Partition, int]) -> None:
        self._log, self._positions = log, dict(positions)
        self._changed = asyncio.Event()

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._positions |= positions
        self._changed.set()

    def drop(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> Mapping[Partition, Sequence[Stored]]:
        await self._log.delay()
        if not self._available():
            self._changed.clear()
            waits = [asyncio.ensure_future(self._log.storage.arrival()), asyncio.ensure_future(self._changed.wait())]
            try:
                await asyncio.wait(waits, timeout=wait_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            await self._log.delay()
        return self._take(self._log.rng.randint(1, records_max) if self._log.weather is not CALM else records_max)

    def _available(self) -> list[Partition]:
        records = self._log.storage.records
        return [p for p, offset in sorted(self._positions.items()) if offset < len(records[p])]

    def _take(self, records_max: int) -> dict[Partition, list[Stored]]:
        chunks: dict[Partition, list[Stored]] = {}
        for partition in self._available():
            offset = self._positions[partition]
            chunk = self._log.storage.records[partition][offset : offset + records_max]
            chunks[partition] = chunk
            self._positions[partition] = offset + len(chunk)
        return chunks

    async def close(self) -> None:
        self._positions.clear()
