"""What is really in a simulated log, for all who look at it."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Sequence

from bus.channel import CHANNELS, Partition
from bus.log import Raw, Stored


class Storage:
    """The partitions of one namespace. `landed` is told of every batch."""

    def __init__(self, partitions: int, landed: Callable[[], None] = lambda: None) -> None:
        self.partitions, self.landed = partitions, landed
        self.records: dict[Partition, list[Stored]] = {
            Partition(channel, number): [] for channel in CHANNELS for number in range(partitions)
        }
        self.landed_s: dict[Partition, list[float]] = {partition: [] for partition in self.records}
        self._arrivals: dict[str, dict[Future[None], None]] = {channel: {} for channel in CHANNELS}

    def land(self, partition: Partition, batch: Sequence[Raw]) -> int:
        """Write a batch and wake all readers; gives its first offset."""
        log = self.records[partition]
        base = len(log)
        log.extend(Stored(base + i, *raw) for i, raw in enumerate(batch))
        self.landed_s[partition] += [asyncio.get_running_loop().time()] * len(batch)
        arrivals = self._arrivals[partition.channel]
        for arrival in arrivals:
            if not arrival.done():
                arrival.set_result(None)
        arrivals.clear()
        self.landed()
        return base

    def tell(self, channel: str, arrival: Future[None]) -> None:
        """End this when anything lands in the channel."""
        self._arrivals[channel][arrival] = None

    def forget(self, channel: str, arrival: Future[None]) -> None:
        """Nobody waits for this any more."""
        self._arrivals[channel].pop(arrival, None)

    def __len__(self) -> int:
        return sum(map(len, self.records.values()))
