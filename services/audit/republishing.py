"""What was once asked of a system, asked again of another namespace: the same records under the same ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

from bus.channel import STATE_CHANNELS, Partition, partition_number
from bus.clock import Clock
from bus.codec import Codec, Peek
from bus.errors import Undecodable, UnknownRecordType
from bus.home_fold import chunks_until
from bus.log import Log, Stored
from bus.publisher import Publisher
from bus.record import BusRecord, Envelope, Origin


class NamespaceLive(Exception):
    """Somebody has written there already."""


@dataclass(slots=True)
class Republished:
    """What was found and written."""

    found: dict[str, int] = field(default_factory=dict)  # by type
    written: int = 0


async def check_target(target: Log) -> None:
    """Raises NamespaceLive if any record stands in the namespace."""
    partitions = [Partition(channel, number) for channel in STATE_CHANNELS for number in range(target.partitions)]
    for partition, end in (await target.ends(partitions)).items():
        if end:
            raise NamespaceLive(f"{partition} of {target.namespace} holds {end} records")


async def find_asked(log: Log, codec: Codec, kinds: Collection[str], names: Collection[str]) -> AsyncIterator[Envelope]:
    """The asks (and reports, as `kinds` says) of a log that can be decoded, of these types or of all, in the order of
    their times, and in the order of the log within each partition.
    """
    partitions = [Partition(channel, number) for channel in STATE_CHANNELS for number in range(log.partitions)]
    waiting = [each for partition in partitions for each in await _next(_asked(log, codec, partition, kinds, names))]
    while waiting:
        first = min(waiting, key=lambda each: (each[0].time_ms, each[0].at))
        waiting.remove(first)
        yield first[0]
        waiting += await _next(first[1])


_Next = tuple[Envelope, AsyncIterator[Envelope]]


async def _next(envelopes: AsyncIterator[Envelope]) -> list[_Next]:
    async for envelope in envelopes:
        return [(envelope, envelopes)]
    return []


async def _asked(
    log: Log, codec: Codec, partition: Partition, kinds: Collection[str], names: Collection[str]
) -> AsyncIterator[Envelope]:
    start, end = (await log.starts([partition]))[partition], (await log.ends([partition]))[partition]
    async for chunk in chunks_until(log, partition, start, end):
        for stored in chunk:
            envelope = _decode(codec, partition, stored, kinds)
            if envelope is not None and (not names or type(envelope.record).__name__ in names):
                yield envelope


def _decode(codec: Codec, partition: Partition, stored: Stored, kinds: Collection[str]) -> Envelope | None:
    try:
        peek: Peek = codec.peek(stored)
        envelope = codec.decode(stored, peek, partition) if peek.origin.kind in kinds else None
    except (Undecodable, UnknownRecordType):
        return None  # whoever hears it there would only set it aside again
    return None if envelope is None or isinstance(envelope.record, BusRecord) else envelope


async def republish(
    asked: AsyncIterator[Envelope], codec: Codec, target: Log, clock: Clock, *, per_s: float = 0
) -> Republished:
    """Append each record to the partition of its key, at most so many a second; the ids and traces are the old ones."""
    outcome, loop = Republished(), asyncio.get_running_loop()
    publisher, began = Publisher(target, codec, clock), loop.time()
    try:
        async for envelope in asked:
            note(outcome, envelope)
            if per_s:
                await asyncio.sleep(max(0.0, began + outcome.written / per_s - loop.time()))
            await _append(publisher, codec, target, clock, envelope)
            outcome.written += 1
    finally:
        await publisher.close()
    return outcome


def note(outcome: Republished, envelope: Envelope) -> None:
    """Count a record that was found."""
    name = type(envelope.record).__name__
    outcome.found[name] = outcome.found.get(name, 0) + 1


async def _append(publisher: Publisher, codec: Codec, target: Log, clock: Clock, envelope: Envelope) -> None:
    raw = codec.encode(
        envelope.record,
        record_id=envelope.id,
        origin=Origin(envelope.origin.kind),
        time_ms=clock.now_ms(),
        trace=envelope.trace,
    )
    number = partition_number(envelope.record.key(), target.partitions)
    await publisher.append(Partition(envelope.record.channel, number), [raw])
