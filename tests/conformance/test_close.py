"""Closing and opening again: what was acknowledged is there, and a closed log says so."""

import asyncio

import pytest

from bus.errors import NamespaceMismatch, Unavailable
from bus.log import Log
from tests.conformance.media import Medium
from tests.conformance.records import P0, P1, P2, append, batch, read_all, values

EACH = (P0, P1, P2)


async def test_what_was_acknowledged_is_there_after_opening_again(medium: Medium) -> None:
    for number in range(3):
        log = await medium.open()
        assert (await log.ends([P0]))[P0] == 2 * number
        assert await append(log, P0, f"{number}a", f"{number}b") == 2 * number
        await log.close()
    log = await medium.open()
    assert values(await read_all(log, P0)) == ["0a", "0b", "1a", "1b", "2a", "2b"]
    await log.close()


async def test_all_is_the_same_after_opening_again(medium: Medium) -> None:
    """Many batches of many partitions are under way at once, so that a log may store them together."""
    log = await medium.open()
    appenders = [await log.appender() for _ in range(2)]
    written = [
        (partition, batch(*range(number, number + 1 + number % 9))) for number in range(300) for partition in EACH
    ]
    await asyncio.gather(
        *(appenders[n % 2].append(partition, records) for n, (partition, records) in enumerate(written))
    )
    before = [await read_all(log, partition) for partition in EACH]
    await log.close()
    log = await medium.open()
    assert [await read_all(log, partition) for partition in EACH] == before
    assert [len(records) for records in before] == [sum(1 + number % 9 for number in range(300))] * len(EACH)
    await log.close()


async def test_a_first_read_heeds_what_is_dropped_and_moved_while_it_is_under_way(medium: Medium) -> None:
    log = await medium.open()
    for partition in EACH:
        await append(log, partition, *"abc")
    await log.close()
    log = await medium.open()
    reader = await log.reader(dict.fromkeys(EACH, 0))
    reading = asyncio.create_task(reader.read(wait_ms=10_000))
    await asyncio.sleep(0)
    reader.drop([P0])
    reader.seek({P1: 2})
    found = dict(await reading)
    while P1 not in found or P2 not in found:
        found |= await reader.read(wait_ms=10_000)
    assert {partition: values(records) for partition, records in found.items()} == {P1: ["c"], P2: ["a", "b", "c"]}
    await log.close()


async def test_batches_under_way_when_the_log_closes_end(medium: Medium) -> None:
    log = await medium.open()
    appender = await log.appender()
    futures = [appender.append(P0, batch(number)) for number in range(100)]
    await log.close()
    assert await asyncio.gather(*futures) == list(range(100))
    log = await medium.open()
    assert (await log.ends([P0]))[P0] == 100
    await log.close()


async def test_a_closed_log_is_unavailable_for_every_call(log: Log) -> None:
    appender, reader = await log.appender(), await log.reader({P0: 0})
    await log.close()
    await log.close()
    for call in (
        log.appender,
        lambda: log.reader({P0: 0}),
        lambda: log.starts([P0]),
        lambda: log.ends([P0]),
        reader.read,
        lambda: appender.append(P0, batch("a")),
    ):
        with pytest.raises(Unavailable, match="closed"):
            await call()
    with pytest.raises(Unavailable, match="closed"):
        reader.seek({P1: 0})
    await reader.close()
    await appender.close()


async def test_closing_ends_a_read_under_way(log: Log) -> None:
    reader, other = await log.reader({P0: 0}), await log.reader({P0: 0})
    waiting = [asyncio.create_task(each.read(wait_ms=600_000)) for each in (reader, other)]
    await asyncio.sleep(0)
    await other.close()
    await asyncio.wait(waiting[1:], timeout=60)
    assert not waiting[0].done()
    await log.close()
    for each in waiting:
        with pytest.raises(Unavailable, match="closed"):
            await asyncio.wait_for(each, 60)


async def test_closed_appenders_and_readers_are_unavailable_while_the_log_goes_on(log: Log) -> None:
    appender, reader = await log.appender(), await log.reader({P0: 0})
    await appender.close()
    await reader.close()
    with pytest.raises(Unavailable, match="closed"):
        await appender.append(P0, batch("a"))
    with pytest.raises(Unavailable, match="closed"):
        await reader.read()
    assert await append(log, P0, "a") == 0


async def test_another_partition_count_is_a_mismatch(medium: Medium, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await medium.open()).close()
    monkeypatch.setattr("tests.conformance.media.PARTITIONS", 4)
    with pytest.raises(NamespaceMismatch, match="3"):
        await medium.open()
    monkeypatch.setattr("tests.conformance.media.PARTITIONS", None)
    log = await medium.open()
    assert log.partitions == 3
    await log.close()
