"""The bus as a program uses it that is no role: publish asks and reports, follow channels, keep blobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

from bus.channel import Partition, Position, partition_number
from bus.clock import Clock, SystemClock
from bus.codec import Codec
from bus.log import Log
from bus.publisher import Publisher
from bus.reader import FencedReader, Place
from bus.record import Envelope, Record
from bus.retry import retry


class Blobs(Protocol):
    """Content by digest."""

    async def put(self, content: bytes) -> str: ...

    async def get(self, digest: str) -> bytes: ...


class Bus(Protocol):
    """What `connect` gives, whatever is behind it."""

    @property
    def blobs(self) -> Blobs: ...

    async def publish(self, record: Record, *, record_id: str = "") -> Position:
        """Append an ask or a report and wait until it is durable. `record_id` makes a repeat harmless."""
        ...

    def subscribe(
        self, channel: str, wanted: Collection[type[Record]], *, key: str = "", live: bool = True
    ) -> AsyncIterator[Envelope]:
        """Records of these types that count, from the start of the channel on, in order within each partition.

        `key` narrows to the partition of that key and to records under it. Unless `live`, it ends where the log ended
        at the call.
        """
        ...

    async def retry(self, at: Position) -> Position:
        """Publish an ask or report again that somebody has set aside; raises Refused as `bus.retry` does."""
        ...

    async def close(self) -> None: ...


class LogBus:
    """The bus on an open log."""

    def __init__(self, log: Log, codec: Codec, blobs: Blobs, clock: Clock | None = None) -> None:
        self._log, self._codec, self._blobs = log, codec, blobs
        self._clock = clock or SystemClock()
        self._publisher = Publisher(log, codec, self._clock)

    @property
    def blobs(self) -> Blobs:
        return self._blobs

    @property
    def log(self) -> Log:
        return self._log

    async def publish(self, record: Record, *, record_id: str = "") -> Position:
        return await self._publisher.publish(record, record_id=record_id)

    async def subscribe(
        self, channel: str, wanted: Collection[type[Record]], *, key: str = "", live: bool = True
    ) -> AsyncIterator[Envelope]:
        numbers = [partition_number(key, self._log.partitions)] if key else range(self._log.partitions)
        partitions = [Partition(channel, number) for number in numbers]
        ends = {} if live else await self._log.ends(partitions)
        # Channels that hold state begin at 0; what telemetry has forgotten is no longer there to be read.
        places = {partition: Place(offset) for partition, offset in (await self._log.starts(partitions)).items()}
        reader = await FencedReader.open(self._log, self._codec, places, wanted)
        try:
            while live or not _reached(reader.places(), ends):
                for envelope in await reader.read():
                    if (not key or envelope.key == key) and _is_before(envelope, ends):
                        yield envelope
        finally:
            await reader.close()

    async def retry(self, at: Position) -> Position:
        return await retry(self._log, self._codec, self._publisher, self._clock, at)

    async def close(self) -> None:
        """Let go of the producer; the log stays open for whoever opened it."""
        await self._publisher.close()


def _reached(places: Mapping[Partition, Place], ends: Mapping[Partition, int]) -> bool:
    return all(places[partition].offset >= end for partition, end in ends.items())


def _is_before(envelope: Envelope, ends: Mapping[Partition, int]) -> bool:
    at = envelope.at
    return at is None or not ends or at.offset < ends[Partition(at.channel, at.number)]
