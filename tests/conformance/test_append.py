"""Appending: one batch whole, at adjacent offsets, in the order of the calls."""

import asyncio

import pytest

from bus.channel import CHANNELS, Partition
from bus.errors import RecordTooLarge, Refused
from bus.log import BATCH_BYTES_MAX, RECORD_BYTES_MAX, Log, Raw, size
from tests.conformance.records import P0, P1, P2, append, batch, read_all, record, values


async def test_offsets_are_dense_from_zero_and_the_future_gives_the_first(log: Log) -> None:
    appender = await log.appender()
    assert await appender.append(P0, batch("a", "b", "c")) == 0
    assert await appender.append(P0, batch("d")) == 3
    assert await appender.append(P1, batch("e")) == 0
    assert [(each.offset, each.value) for each in await read_all(log, P0)] == [
        (0, b"a"),
        (1, b"b"),
        (2, b"c"),
        (3, b"d"),
    ]


async def test_a_record_comes_back_as_it_was_written(log: Log) -> None:
    written = [
        Raw(
            "工作区-ä".encode(), "Größe 大小".encode(), (("ce_id", b"\x00\xff"), ("名前", b""), ("ce_id", b"again")), 0
        ),
        Raw(b"", b"", (), 1_700_000_000_123),
        Raw(b"\x00", b"\xff" * 1000, [("traceparent", "é".encode())], 4_000_000_000_000),
    ]
    appender = await log.appender()
    await appender.append(P0, written)
    stored = await read_all(log, P0)
    assert [each[1:3] for each in stored] == [each[:2] for each in written]
    assert [list(each.headers) for each in stored] == [list(each.headers) for each in written]
    assert [each.time_ms for each in stored] == [each.time_ms for each in written]


async def test_pipelined_batches_stand_in_the_order_of_the_calls(log: Log) -> None:
    appender = await log.appender()
    futures = [
        appender.append(partition, batch(number, f"{number}+")) for number in range(200) for partition in (P0, P1)
    ]
    offsets = await asyncio.gather(*futures)
    assert offsets == [offset for number in range(200) for offset in (2 * number, 2 * number)]
    for partition in (P0, P1):
        expected = [text for number in range(200) for text in (str(number), f"{number}+")]
        assert values(await read_all(log, partition)) == expected


async def test_two_appenders_interleave_by_whole_batches(log: Log) -> None:
    appenders = [await log.appender() for _ in range(2)]
    await asyncio.gather(
        *(
            appender.append(P0, batch(*[f"{name}{number}"] * 3))
            for number in range(100)
            for name, appender in enumerate(appenders)
        )
    )
    stored = values(await read_all(log, P0))
    assert len(stored) == 600
    batches = [stored[at : at + 3] for at in range(0, 600, 3)]
    assert all(len(set(each)) == 1 for each in batches)
    for name in ("0", "1"):
        own = [each[0] for each in batches if each[0].startswith(name)]
        assert own == [f"{name}{number}" for number in range(100)]


async def test_all_channels_and_partitions_take_records(log: Log) -> None:
    every = [Partition(channel, number) for channel in CHANNELS for number in range(log.partitions)]
    appender = await log.appender()
    assert await asyncio.gather(*(appender.append(each, batch(each)) for each in every)) == [0] * len(every)
    assert [values(await read_all(log, each)) for each in every] == [[str(each)] for each in every]


async def test_a_batch_is_as_it_was_when_append_was_called(log: Log) -> None:
    records = batch("a")
    appender = await log.appender()
    future = appender.append(P0, records)
    records[0] = record("other")
    records.append(record("more"))
    await future
    assert values(await read_all(log, P0)) == ["a"]


async def test_giving_up_the_future_does_not_take_the_batch_back(log: Log) -> None:
    appender = await log.appender()
    future = appender.append(P0, batch("a"))
    future.cancel()
    assert await appender.append(P0, batch("b")) == 1
    assert values(await read_all(log, P0)) == ["a", "b"]


async def test_a_closed_appender_lets_its_batches_end(log: Log) -> None:
    appender = await log.appender()
    futures = [appender.append(P0, batch(number)) for number in range(50)]
    await appender.close()
    assert await asyncio.gather(*futures) == list(range(50))


async def test_an_empty_batch_is_a_mistake_of_the_caller(log: Log) -> None:
    appender = await log.appender()
    with pytest.raises(ValueError, match="at least one record"):
        await appender.append(P0, [])


@pytest.mark.parametrize("partition", [Partition("task", 3), Partition("task", -1), Partition("tasks", 0)], ids=str)
async def test_a_partition_that_is_not_there_is_refused(log: Log, partition: Partition) -> None:
    appender = await log.appender()
    with pytest.raises(Refused, match=f"no (partition {partition}|channel '{partition.channel}')"):
        await appender.append(partition, batch("a"))


def sized(length: int) -> Raw:
    empty = record("")
    return empty._replace(value=b"x" * (length - size(empty)))


async def test_the_largest_record_and_the_largest_batch_are_taken(log: Log) -> None:
    largest = [sized(RECORD_BYTES_MAX)] * (BATCH_BYTES_MAX // RECORD_BYTES_MAX)
    smallest = [Raw(b"", b"", (), 0)] * (BATCH_BYTES_MAX // 64)
    assert sum(map(size, largest)) == sum(map(size, smallest)) == BATCH_BYTES_MAX
    appender = await log.appender()
    await asyncio.gather(appender.append(P0, largest), appender.append(P1, smallest))
    assert [each.value for each in await read_all(log, P0)] == [each.value for each in largest]
    assert (await log.ends([P1]))[P1] == len(smallest)


@pytest.mark.parametrize(
    ("records", "limit"),
    [
        ([sized(RECORD_BYTES_MAX + 1)], "RECORD_BYTES_MAX"),
        ([*[sized(RECORD_BYTES_MAX)] * 6, sized(100)], "BATCH_BYTES_MAX"),
        ([record("fits"), record("")._replace(headers=(("ce_id", b"x" * RECORD_BYTES_MAX),))], "RECORD_BYTES_MAX"),
    ],
    ids=["record", "batch", "headers"],
)
async def test_over_a_limit_nothing_is_written_and_the_appender_goes_on(
    log: Log, records: list[Raw], limit: str
) -> None:
    appender = await log.appender()
    with pytest.raises(RecordTooLarge, match=limit):
        await appender.append(P0, records)
    assert await appender.append(P0, batch("after")) == 0
    assert (await log.ends([P0, P1, P2])) == {P0: 1, P1: 0, P2: 0}


async def test_what_one_appender_wrote_another_log_user_reads_at_once(log: Log) -> None:
    reader = await log.reader({P0: 0})
    for number in range(20):
        assert await append(log, P0, number) == number
        assert (await log.ends([P0]))[P0] == number + 1
        assert values((await reader.read(wait_ms=10_000))[P0]) == [str(number)]
