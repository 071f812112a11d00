"""An archive put back: every record at its offset in an empty namespace, read back and compared."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from bus.channel import STATE_CHANNELS, Partition
from bus.codec import Codec
from bus.errors import Undecodable
from bus.home_fold import chunks_until
from bus.log import Appender, Log, Raw, Stored, size
from services.audit.archive import ArchiveInvalid, Manifest, read_records
from services.audit.chain import Chain

BATCH_BYTES = 192 * 1024
"""From this size on a batch takes no further decision."""

PIPELINED_BATCHES = 8


class NotEmpty(Exception):
    """Something stands where an archive was to be put."""


class RestoreFailed(Exception):
    """The namespace holds something, but not what the archive holds."""


async def restore(log: Log, codec: Codec, directory: Path, manifest: Manifest) -> None:
    """Append every record, in the decisions it was written in, and read all of it back.

    Raises NotEmpty before anything is written, ArchiveInvalid and RestoreFailed when the namespace is of no use after
    it.
    """
    await check_target(log, manifest)
    appender = await log.appender()
    try:
        for partition in _partitions(log):
            await _restore_partition(appender, codec, partition, directory, manifest)
    finally:
        await appender.close()
    for partition in _partitions(log):
        await _compare(log, partition, manifest)


def _partitions(log: Log) -> list[Partition]:
    return [Partition(channel, number) for channel in STATE_CHANNELS for number in range(log.partitions)]


async def check_target(log: Log, manifest: Manifest) -> None:
    """Raises NotEmpty unless the namespace has the same partitions and no record."""
    if log.partitions != manifest.partitions:
        raise NotEmpty(f"the namespace has {log.partitions} partitions a channel, the archive {manifest.partitions}")
    for partition, end in (await log.ends(_partitions(log))).items():
        if end:
            raise NotEmpty(f"{partition} holds {end} records already; an archive needs an empty namespace")


async def _restore_partition(
    appender: Appender, codec: Codec, partition: Partition, directory: Path, manifest: Manifest
) -> None:
    waiting: deque[tuple[int, Future[int]]] = deque()
    for file in manifest.files_of(partition):
        for batch in _batches(codec, read_records(directory, file)):
            waiting.append((batch[0].offset, appender.append(partition, [Raw(*stored[1:]) for stored in batch])))
            while len(waiting) >= PIPELINED_BATCHES:
                await _settle(partition, *waiting.popleft())
    while waiting:
        await _settle(partition, *waiting.popleft())


async def _settle(partition: Partition, expected: int, future: Future[int]) -> None:
    found = await future
    if found != expected:
        at = f"{partition}/{expected}"
        raise RestoreFailed(f"a batch that belongs at {at} stands at {found}: somebody else writes here")


def _batches(codec: Codec, records: Iterable[Stored]) -> Iterator[list[Stored]]:
    batch: list[Stored] = []
    length = 0
    for stored in records:
        if length >= BATCH_BYTES and _begins_decision(codec, stored):
            yield batch
            batch, length = [], 0
        batch.append(stored)
        length += size(Raw(*stored[1:]))
    if batch:
        yield batch


def _begins_decision(codec: Codec, stored: Stored) -> bool:
    try:
        return codec.peek(stored).origin.part == 0
    except Undecodable:
        return True


async def _compare(log: Log, partition: Partition, manifest: Manifest) -> None:
    chain, end = Chain(partition), (await log.ends([partition]))[partition]
    async for chunk in chunks_until(log, partition, 0, end):
        chain.extend(chunk)
    if (chain.offset, chain.head.hex()) != (manifest.ends[str(partition)], manifest.chains[str(partition)]):
        raise RestoreFailed(f"{partition} does not hold what the archive holds")


def check_archive(directory: Path, manifest: Manifest) -> None:
    """Raises ArchiveInvalid unless all files are whole and lead to the chains of the manifest."""
    for name, head in manifest.chains.items():
        channel, _, number = name.partition("/")
        chain = Chain(Partition(channel, int(number)))
        for file in manifest.files_of(chain.partition):
            chain.extend(read_records(directory, file))
        if chain.head.hex() != head:
            raise ArchiveInvalid(f"the records of {name} do not lead to the chain of the manifest")
