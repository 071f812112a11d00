"""Whether a namespace speaks the language of this program: found out before anything is written to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bus.channel import STATE_CHANNELS, Partition
from bus.codec import Codec, Peek
from bus.errors import NamespaceMismatch, Undecodable
from bus.framing import frame_of
from bus.log import Log, Stored

SAMPLE_RECORDS_MAX = 200
"""How many of the newest records of each partition are looked at."""


async def check_namespace(log: Log, codec: Codec) -> None:
    """Raises NamespaceMismatch when the newest facts of a partition were written with schemas that this program lacks.

    Asks and reports are left to the roles that set aside what nobody can read.
    """
    await asyncio.gather(*(_check_channel(log, codec, channel) for channel in STATE_CHANNELS))


async def _check_channel(log: Log, codec: Codec, channel: str) -> None:
    partitions = [Partition(channel, number) for number in range(log.partitions)]
    starts, ends = await log.starts(partitions), await log.ends(partitions)
    missing = {each: end for each, end in ends.items() if end > starts[each]}
    positions = {each: max(starts[each], end - SAMPLE_RECORDS_MAX) for each, end in missing.items()}
    if not positions:
        return
    reader = await log.reader(positions)
    try:
        while missing:
            for partition, chunk in (await reader.read()).items():
                _check_chunk(log, codec, partition, chunk)
                if chunk[-1].offset + 1 >= missing.get(partition, 0):
                    missing.pop(partition, None)
                    reader.drop((partition,))
    finally:
        await reader.close()


def _check_chunk(log: Log, codec: Codec, partition: Partition, chunk: Sequence[Stored]) -> None:
    for stored in chunk:
        try:
            peek = codec.peek(stored)
        except Undecodable:
            continue
        if peek.origin.kind in ("fact", "claim") and not codec.knows(frame_of(stored.value)):
            raise _mismatch(log, codec, partition, stored, peek)


def _mismatch(log: Log, codec: Codec, partition: Partition, stored: Stored, peek: Peek) -> NamespaceMismatch:
    what = "with another schema" if peek.type in codec.types else "by a program that knows more types"
    return NamespaceMismatch(
        f"the namespace {log.namespace!r} speaks another language: {partition}/{stored.offset} is a {peek.type} that "
        f"was written {what}; use the version that wrote it, or another namespace or data directory"
    )
