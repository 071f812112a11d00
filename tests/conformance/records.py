"""Records to append, and reading them back in order."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from bus.channel import Partition
from bus.log import Log, Raw, Reader, Stored

P0, P1, P2 = (Partition("task", number) for number in range(3))

READ_TIMEOUT_S = 60


def record(value: object) -> Raw:
    """A record that can be told from others by its value."""
    return Raw(b"key", str(value).encode(), (("ce_type", b"Test"),), 1_700_000_000_000)


def batch(*values: object) -> list[Raw]:
    return [record(value) for value in values]


def values(records: Iterable[Stored]) -> list[str]:
    return [each.value.decode() for each in records]


async def append(log: Log, partition: Partition, *texts: object) -> int:
    """Append one batch with an appender of its own and wait until it is durable."""
    appender = await log.appender()
    try:
        return await appender.append(partition, batch(*texts))
    finally:
        await appender.close()


async def take(reader: Reader, count: int, *, records_max: int = 1000) -> dict[Partition, list[Stored]]:
    """Read until at least `count` records came, and check that each partition has them in order without a gap."""
    taken: dict[Partition, list[Stored]] = {}
    async with asyncio.timeout(READ_TIMEOUT_S):
        while sum(map(len, taken.values())) < count:
            for partition, records in (await reader.read(records_max=records_max)).items():
                taken.setdefault(partition, []).extend(records)
    check_dense(taken)
    return taken


def check_dense(taken: Mapping[Partition, Sequence[Stored]]) -> None:
    for partition, records in taken.items():
        first = records[0].offset
        assert [each.offset for each in records] == list(range(first, first + len(records))), partition


async def read_all(log: Log, partition: Partition) -> list[Stored]:
    """What a partition holds, from its start to its end as it is now."""
    start, end = (await log.starts([partition]))[partition], (await log.ends([partition]))[partition]
    if start == end:
        return []
    reader = await log.reader({partition: start})
    try:
        return (await take(reader, end - start))[partition]
    finally:
        await reader.close()
