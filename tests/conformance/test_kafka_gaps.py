"""Offsets of a topic that hold no record, such as the marks of a stranger's transactions, stop nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from aiokafka import AIOKafkaProducer

from bus.backends.kafka import KafkaLog
from bus.backends.sqlite import SqliteLog
from bus.channel import STATE_CHANNELS, Partition, topic
from bus.codec import Codec
from bus.log import GAP, Log, Stored
from bus.record import InputQuarantined
from services.audit.archive import Manifest, read_manifest, write_manifest, write_records
from services.audit.restoring import restore
from tests.bus.bank import LANGUAGE, Deposited, DepositRequested
from tests.bus.bank_runtime import heard, hosting, publish
from tests.conformance.records import P0, append, read_all, values
from tests.eventually import eventually

CODEC = Codec(LANGUAGE)


@pytest_asyncio.fixture
async def log(kafka: str, namespace: str) -> AsyncIterator[KafkaLog]:
    log = await KafkaLog.connect(kafka, namespace=namespace, partitions=1)
    yield log
    await log.close()


async def transact(kafka: str, log: KafkaLog, *words: str, commits: bool = True) -> None:
    """Write words in a transaction, as a program of somebody else would; its mark comes after it was told the end."""
    begin = (await log.ends([P0]))[P0]
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"stranger-{log.namespace}")
    await producer.start()
    try:
        await producer.begin_transaction()
        for word in words:
            await producer.send_and_wait(topic(log.namespace, "task"), word.encode(), partition=0)
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    finally:
        await producer.stop()

    async def is_marked() -> bool:
        return (await log.ends([P0]))[P0] == begin + len(words) + 1

    await eventually(is_marked, what="the mark of the transaction")


def told(stored: list[Stored]) -> list[str]:
    """The values, and a dash for each offset that holds no record."""
    return ["-" if each.headers == GAP else each.value.decode() for each in stored]


async def test_marks_of_transactions_are_passed_over_in_the_middle_and_at_the_end(kafka: str, log: KafkaLog) -> None:
    await append(log, P0, "a")
    await transact(kafka, log, "b", "c")
    await append(log, P0, "d")
    await transact(kafka, log, "e", commits=False)
    assert told(await read_all(log, P0)) == ["a", "b", "c", "-", "d", "e", "-"]
    for offset, expected in ((3, ["-", "d", "e", "-"]), (6, ["-", "more"])):
        reader = await log.reader({P0: offset})
        found: list[Stored] = []
        while len(found) < len(expected):
            found += (await reader.read()).get(P0, ())
        assert told(found) == expected
        await append(log, P0, "more")
        assert values((await reader.read(wait_ms=60_000))[P0]) == ["more"]
        await reader.close()


async def test_roles_go_on_among_marks_and_a_new_owner_folds_past_one_at_the_end(kafka: str, log: KafkaLog) -> None:
    for number in range(2):
        await transact(kafka, log, f"junk {number}")
        async with asyncio.timeout(120):
            async with hosting(log, CODEC):
                await publish(log, CODEC, DepositRequested(workspace_id="w", amount=1), first=number)
                assert len(await heard(log, CODEC, Deposited, number + 1)) == number + 1
                await heard(log, CODEC, InputQuarantined, number + 1, channel="task")
    set_aside = await heard(log, CODEC, InputQuarantined, 2, channel="task")
    assert len(set_aside) == 2, "the words, and none of the marks"


async def test_an_archive_holds_the_gaps_and_gives_them_back(kafka: str, log: KafkaLog, tmp_path: Path) -> None:
    await append(log, P0, "a")
    await transact(kafka, log, "b")
    files, chains = await write_records(log, tmp_path / "archive", lambda records: None)
    manifest = Manifest(
        namespace=log.namespace,
        partitions=1,
        made_at_ms=1,
        files=tuple(files),
        ends={str(partition): chain.offset for partition, chain in chains.items()},
        chains={str(partition): chain.head.hex() for partition, chain in chains.items()},
    )
    write_manifest(tmp_path / "archive", manifest, {})
    copy = await SqliteLog.open(tmp_path / "copy", partitions=1)
    await restore(copy, CODEC, tmp_path / "archive", read_manifest(tmp_path / "archive"))
    for channel in STATE_CHANNELS:
        assert await everything(copy, channel) == await everything(log, channel)
    await copy.close()


async def everything(log: Log, channel: str) -> list[Stored]:
    """What a channel holds."""
    return await read_all(log, Partition(channel, 0))
