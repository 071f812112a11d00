"""Everything that stands on the log once is delivered again to services that run, as a retry of an append may do."""

from __future__ import annotations

from collections.abc import Mapping

from bus.address import open_log
from bus.channel import Partition
from bus.log import Log, Raw
from tests.system.aftermath import check_aftermath
from tests.system.fleet import Fleet
from tests.system.load import loaded
from tests.system.raw_log import RawLog, Schema, following

RUNS = 6
CHANNELS = ("task", "event")


async def repeat_all(system: Fleet, kinds: tuple[str, ...]) -> int:
    """Append every record of these kinds a second time, in its order; gives how many there were."""
    log = await open_log(system.bus, namespace=system.namespace)
    try:
        appender, count = await log.appender(), 0
        for partition in [Partition(channel, number) for channel in CHANNELS for number in range(log.partitions)]:
            again = [raw for kind, raw in await read(log, partition) if kind in kinds]
            for raw in again:
                await appender.append(partition, [raw])
            count += len(again)
        await appender.close()
        return count
    finally:
        await log.close()


async def read(log: Log, partition: Partition) -> list[tuple[str, Raw]]:
    """All records of a partition by kind, as they would be appended again."""
    end = (await log.ends([partition]))[partition]
    reader = await log.reader({partition: 0})
    found: list[tuple[str, Raw]] = []
    while len(found) < end:
        for stored in (await reader.read()).get(partition, ()):
            kind = dict(stored.headers)["clawx"].decode().split("|", 1)[0]
            found.append((kind, Raw(stored.key, stored.value, stored.headers, stored.time_ms)))
    await reader.close()
    return found


async def repeat_after_a_load(system: Fleet, raw: RawLog, *kinds: str) -> None:
    """Let some runs end, repeat what led to them, and let as many more end."""
    async with loaded(system, raw, RUNS) as load:
        await load.ends(RUNS)
    assert await repeat_all(system, kinds) > RUNS
    async with loaded(system, raw, RUNS) as more:
        await more.ends(RUNS)
    load.check()


async def test_asks_reports_and_posts_that_are_repeated_change_nothing(
    system: Fleet, schemas: Mapping[str, Schema]
) -> None:
    async with following(system.bus, system.namespace, schemas) as raw:
        await repeat_after_a_load(system, raw, "ask", "report", "post")
        await check_aftermath(system, raw)
        assert not raw.of("ResultRefused"), "every result that came again had been accepted"
