"""One process's view of a simulated log, with faults at every call and a name for each moment at which it may die."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from bus.channel import Partition
from bus.errors import Unavailable
from bus.log import Stored
from tests.simulation.appender import SimulatedAppender
from tests.simulation.loop import elapse
from tests.simulation.storage import Storage
from tests.simulation.weather import CALM, Weather


def _nothing(point: str) -> None:
    pass


class SimulatedLog:
    """The log as one process sees it. `passing` is told each point of its life that it passes, and may end it there."""

    namespace = "simulated"

    def __init__(
        self, storage: Storage, rng: random.Random, weather: Weather, passing: Callable[[str], None] = _nothing
    ) -> None:
        self.storage, self.rng, self.weather, self._passing = storage, rng, weather, passing
        self.dead = False
        self.waking: list[Callable[[], None]] = []  # what a sleeping process learns when it wakes
        self.awake = asyncio.Event()
        self.awake.set()

    @property
    def partitions(self) -> int:
        return self.storage.partitions

    def passes(self, point: str) -> bool:
        """Name a point; False if the process does not live beyond it."""
        if not self.dead:
            self._passing(point)
        return not self.dead

    def pause(self) -> None:
        """Stop answering, as a process that does not get the CPU; what it sent before still arrives."""
        self.awake.clear()

    def resume(self) -> None:
        self.awake.set()
        waking, self.waking = self.waking, []
        for each in waking:
            each()

    def seconds(self) -> float:
        """How long one call takes."""
        slow = self.rng.random() < self.weather.slow
        return self.rng.uniform(0.05, 0.8) if slow else self.rng.uniform(0.0001, 0.003)

    async def delay(self) -> None:
        """The time one call takes, and its failure."""
        await elapse(self.seconds())
        if not self.awake.is_set():
            await self.awake.wait()
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


class SimulatedReader:
    """Reads each channel at its own pace."""

    def __init__(self, log: SimulatedLog, positions: Mapping[Partition, int]) -> None:
        self._log, self._positions = log, dict(positions)
        self._waiting: asyncio.Future[None] | None = None

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._positions |= positions
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def drop(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> Mapping[Partition, Sequence[Stored]]:
        await self._log.delay()
        end = asyncio.get_running_loop().time() + wait_ms / 1000
        while not self._available() and asyncio.get_running_loop().time() < end:
            await self._wait(end)
            await self._log.delay()
        weather, rng = self._log.weather, self._log.rng
        few = weather is not CALM and rng.random() < weather.small
        chunks = self._take(rng.randint(1, 8) if few else records_max)
        for partition in chunks:
            if not self._log.passes(f"{partition.channel} read"):
                await asyncio.Event().wait()
        return chunks

    async def _wait(self, end: float) -> None:
        """Until something lands in the channel, a position is moved, or the time is over."""
        loop, storage = asyncio.get_running_loop(), self._log.storage
        self._waiting = waiting = loop.create_future()
        channels = {partition.channel for partition in self._positions}
        handle = loop.call_at(end, self.seek, {})
        for channel in channels:
            storage.tell(channel, waiting)
        try:
            await waiting
        finally:
            handle.cancel()
            for channel in channels:
                storage.forget(channel, waiting)

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
        """Takes its time, as a client that says goodbye to a broker does."""
        self._positions.clear()
        if not self._log.dead:
            await elapse(self._log.seconds())
