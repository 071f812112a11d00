"""Reading: from any position, in order, each record once, woken and not polled."""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence

import pytest

from bus.channel import Partition
from bus.errors import OffsetOutOfRange, Refused
from bus.log import Log, Raw, Stored
from tests.conformance.records import P0, P1, P2, append, batch, check_dense, read_all, record, take, values

LONG_MS = 600_000
"""Far more than a test may last: whatever returns was woken."""


async def test_a_reader_starts_at_any_offset_also_within_a_batch(log: Log) -> None:
    await append(log, P0, *"abc")
    await append(log, P0, *"def")
    for offset in range(6):
        reader = await log.reader({P0: offset})
        assert values((await take(reader, 6 - offset))[P0]) == list("abcdef")[offset:]


async def test_a_late_reader_and_one_that_was_there_read_the_same(log: Log) -> None:
    early = await log.reader({P0: 0, P1: 0})
    await append(log, P0, *"abc")
    first = await take(early, 3)
    await append(log, P1, *"xy")
    second = await take(early, 2)
    late = await take(await log.reader({P0: 0, P1: 0}), 5)
    assert late == {**first, **second}


async def test_readers_do_not_disturb_each_other(log: Log) -> None:
    await append(log, P0, *range(100))
    readers = [await log.reader({P0: 0}) for _ in range(4)]
    taken = await asyncio.gather(*(take(reader, 100, records_max=7 + number) for number, reader in enumerate(readers)))
    assert all(values(each[P0]) == [str(number) for number in range(100)] for each in taken)


async def test_a_waiting_read_is_woken_by_an_append(log: Log) -> None:
    reader = await log.reader({P0: 0, P1: 0})
    for number in range(3):
        waiting = asyncio.create_task(reader.read(wait_ms=LONG_MS))
        await append(log, P1, number)
        assert values((await asyncio.wait_for(waiting, 60))[P1]) == [str(number)]


async def test_no_polling_delay_between_append_and_read(log: Log) -> None:
    reader, appender = await log.reader({P0: 0}), await log.appender()
    delays = []
    for number in range(41):
        waiting = asyncio.create_task(reader.read(wait_ms=LONG_MS))
        await appender.append(P0, batch(number))
        begun = time.perf_counter()
        await asyncio.wait_for(waiting, 60)
        delays.append(time.perf_counter() - begun)
    assert statistics.median(delays) < 0.1


async def test_nothing_to_read_is_said_after_the_wait_and_not_before(log: Log) -> None:
    await append(log, P0, "a")
    reader = await log.reader({P0: 1, P1: 0})
    begun = time.monotonic()
    assert await reader.read(wait_ms=300) == {}
    assert 0.25 < time.monotonic() - begun < 60


async def test_without_partitions_a_read_finds_nothing(log: Log) -> None:
    await append(log, P0, "a")
    reader = await log.reader({})
    assert await reader.read(wait_ms=50) == {}
    reader.seek({P0: 0})
    assert values((await take(reader, 1))[P0]) == ["a"]


async def test_a_read_is_about_as_long_as_asked_for(log: Log) -> None:
    await append(log, P0, *range(500))
    await append(log, P1, *range(500))
    reader = await log.reader({P0: 0, P1: 0})
    lengths = []
    while sum(lengths) < 1000:
        lengths.append(sum(map(len, (await reader.read(records_max=50)).values())))
        assert lengths[-1] <= 60
    assert sum(lengths) == 1000


async def test_a_partition_with_much_to_read_does_not_starve_the_others(log: Log) -> None:
    appender = await log.appender()
    large = record("")._replace(value=b"x" * 120_000)
    await asyncio.gather(*(appender.append(P0, [large] * 6) for _ in range(5)), appender.append(P2, batch("small")))
    reader = await log.reader({P0: 0, P1: 0, P2: 0})
    order: list[Partition] = []
    while order.count(P0) < 30:
        for partition, records in (await reader.read(records_max=2, wait_ms=10_000)).items():
            order += [partition] * len(records)
    assert P2 in order[:-2]


async def test_seek_to_another_partition_wakes_a_waiting_read(log: Log) -> None:
    await append(log, P1, *"ab")
    reader = await log.reader({P0: 0})
    waiting = asyncio.create_task(reader.read(wait_ms=LONG_MS))
    await asyncio.sleep(0)
    reader.seek({P1: 1})
    assert {partition: values(found) for partition, found in (await asyncio.wait_for(waiting, 60)).items()} == {
        P1: ["b"]
    }


async def test_seek_moves_one_partition_and_leaves_the_others(log: Log) -> None:
    for partition in (P0, P1, P2):
        await append(log, partition, *range(10))
    reader = await log.reader({P0: 0, P1: 5})
    taken = await take(reader, 15)
    assert (len(taken[P0]), len(taken[P1])) == (10, 5)
    reader.seek({P0: 7, P2: 8})
    again = await take(reader, 5)
    assert {partition: [each.offset for each in found] for partition, found in again.items()} == {
        P0: [7, 8, 9],
        P2: [8, 9],
    }
    await append(log, P1, "new")
    assert [each.offset for each in (await take(reader, 1))[P1]] == [10]


async def test_partitions_added_and_dropped_under_load_lose_and_repeat_nothing(log: Log) -> None:
    """P0 is read throughout while the others come and go."""
    count = 100
    reader, appender = await log.reader({P0: 0}), await log.appender()
    writing = asyncio.gather(*(appender.append(p, batch(n)) for n in range(count) for p in (P0, P1)))
    taken: dict[Partition, list[Stored]] = {P0: [], P1: []}
    rounds = 0
    while len(taken[P0]) < count or len(taken[P1]) < count:
        rounds += 1
        if rounds % 2:
            reader.seek({P1: len(taken[P1]), P2: 0})
        else:
            reader.drop([P1, P2])
        for partition, records in (await asyncio.wait_for(reader.read(records_max=20, wait_ms=50), 60)).items():
            taken[partition] += records
    await writing
    check_dense(taken)
    assert [len(taken[P0]), len(taken[P1])] == [count, count]


async def test_what_was_dropped_is_not_handed_out(log: Log) -> None:
    await append(log, P0, *"ab")
    await append(log, P1, *"xy")
    reader = await log.reader({P0: 0, P1: 0})
    reader.drop([P0, P2])
    assert list(await take(reader, 2)) == [P1]
    assert await reader.read(wait_ms=300) == {}
    reader.seek({P0: 1})
    assert values((await take(reader, 1))[P0]) == ["b"]


async def test_a_read_under_way_does_not_hand_out_what_is_dropped_meanwhile(log: Log) -> None:
    reader = await log.reader({P0: 0, P1: 0})
    waiting = asyncio.create_task(reader.read(wait_ms=LONG_MS))
    await asyncio.sleep(0)
    reader.drop([P0])
    await append(log, P0, "dropped")
    await append(log, P1, "kept")
    assert list(await asyncio.wait_for(waiting, 60)) == [P1]


async def test_cancelling_a_read_loses_nothing(log: Log) -> None:
    """Each read is cancelled at another moment: before, while or after it is woken, or when it has ended."""
    count = 150
    reader, appender = await log.reader({P0: 0}), await log.appender()
    taken: list[Stored] = []
    cancelled = 0
    for number in range(count):
        reading = asyncio.create_task(reader.read(wait_ms=LONG_MS))
        appended = appender.append(P0, batch(number))
        if number % 2:
            await appended
        for _ in range(number % 13):
            await asyncio.sleep(0)
        cancelled += reading.cancel()
        taken += await found(reading)
    rest = await take(reader, count - len(taken)) if len(taken) < count else {P0: []}
    assert values(taken + rest[P0]) == [str(number) for number in range(count)]
    assert cancelled > 10


async def found(reading: "asyncio.Task[Mapping[Partition, Sequence[Stored]]]") -> Sequence[Stored]:
    """What a read that may have been cancelled handed out."""
    try:
        return (await reading).get(P0, ())
    except asyncio.CancelledError:
        return ()


@pytest.mark.parametrize("offset", [-1, 3, 1000])
async def test_outside_of_what_is_there_a_read_fails(log: Log, offset: int) -> None:
    await append(log, P0, *"ab")
    reader = await log.reader({P0: offset})
    with pytest.raises(OffsetOutOfRange, match=str(P0)):
        await take(reader, 1)
    reader.seek({P0: 2})
    assert await reader.read(wait_ms=100) == {}
    await append(log, P0, "c")
    assert values((await take(reader, 1))[P0]) == ["c"]


async def test_a_reader_reads_one_channel_that_is_there(log: Log) -> None:
    with pytest.raises(ValueError, match="one channel"):
        await log.reader({P0: 0, Partition("event", 0): 0})
    with pytest.raises(Refused, match="no partition"):
        await log.reader({Partition("task", 99): 0})


async def test_much_is_read_back_as_it_was_written(log: Log) -> None:
    """More than any tail in memory holds, in batches of all lengths."""
    appender = await log.appender()
    lengths = [1, 2, 3, 50, 200] * 12
    texts = iter(range(sum(lengths)))
    batches = [[Raw(b"k", b"%d" % next(texts) + b"." * 700, (), 5) for _ in range(length)] for length in lengths]
    await asyncio.gather(*(appender.append(P0, each) for each in batches))
    stored = await read_all(log, P0)
    assert [each.value for each in stored] == [each.value for records in batches for each in records]
    for offset in range(1, len(stored), 997):
        reader = await log.reader({P0: offset})
        assert (await take(reader, 1, records_max=10))[P0][0] == stored[offset]
        await reader.close()
