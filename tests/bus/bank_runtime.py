"""The bank's roles hosted on a log, and what they have said there, for tests of logs and codecs of any kind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bus.assignment import StaticAssignment
from bus.channel import Partition
from bus.clock import SystemClock
from bus.codec import Codec
from bus.errors import BlobMissing
from bus.log import Log
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Envelope, Record
from bus.runtime import Runtime
from tests.bus.bank import HOMES, ROLES


class NoBlobs:
    """A store that has nothing."""

    async def get(self, digest: str) -> bytes:
        raise BlobMissing(digest)


@asynccontextmanager
async def hosting(log: Log, codec: Codec) -> AsyncIterator[Runtime]:
    """All three roles on all partitions, handed over in order on leaving."""
    runtime = Runtime(log=log, codec=codec, blobs=NoBlobs(), clock=SystemClock(), roles=ROLES, homes=HOMES)
    assignment = StaticAssignment(range(log.partitions))
    task = asyncio.create_task(runtime.run(assignment))
    try:
        await runtime.decides()
        yield runtime
    finally:
        await assignment.close()
        await task
        await runtime.close()


async def publish(log: Log, codec: Codec, *records: Record, first: int = 0) -> None:
    """Each under an id by its place: ask-0, ask-1 …, or from another first number on."""
    publisher = Publisher(log, codec, SystemClock())
    for number, record in enumerate(records, first):
        await publisher.publish(record, record_id=f"ask-{number}")
    await publisher.close()


async def heard(log: Log, codec: Codec, kind: type[Any], count: int, channel: str = "") -> list[Envelope]:
    """The first records of a type that count, read from the start."""
    channel = channel or kind.channel
    places = {Partition(channel, number): START for number in range(log.partitions)}
    reader = await FencedReader.open(log, codec, places, [kind])
    found: list[Envelope] = []
    try:
        async with asyncio.timeout(120):
            while len(found) < count:
                found += await reader.read()
    finally:
        await reader.close()
    return found
