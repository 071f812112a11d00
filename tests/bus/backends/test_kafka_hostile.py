"""What any Kafka producer can put into our topics: it is handed out as bytes, and reading goes on behind it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from bus.address import open_log
from bus.channel import Partition, topic
from bus.codec import Codec
from bus.log import Log
from bus.record import InputQuarantined
from tests.bus.bank import LANGUAGE, Deposited, DepositRequested
from tests.bus.bank_runtime import heard, hosting, publish

CODEC = Codec(LANGUAGE)
P0 = Partition("task", 0)
TIME_MS = 1_700_000_000_000
GZIP = 1


class NoText(str):
    """A header's name whose bytes are no UTF-8."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe" + str.encode(self)


@pytest_asyncio.fixture
async def log(kafka: str, namespace: str) -> AsyncIterator[Log]:
    log = await open_log(f"kafka://{kafka}?namespace={namespace}&partitions=1")
    yield log
    await log.close()


@pytest_asyncio.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    """Somebody else's, who keeps to no rule."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=2**24)
    await producer.start()
    yield producer
    await producer.stop()


async def send(producer: AIOKafkaProducer, log: Log, *records: tuple[Any, Any, Any], packed: bool = False) -> None:
    """One batch of keys, values and headers, built by the plain builder, which takes more than the quick one."""
    batch = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(2, GZIP if packed else 0, 0, -1, -1, 0, 2**30)
    for key, value, headers in records:
        assert batch.append(timestamp=TIME_MS, key=key, value=value, headers=headers)
    batch.close()
    await (await producer.send_batch(batch, topic(log.namespace, "task"), partition=0))


async def test_foreign_records_are_set_aside_and_the_partition_goes_on(log: Log, producer: AIOKafkaProducer) -> None:
    foreign = [
        (b"key", None, []),
        (None, b"value", []),
        (b"", b"", []),
        (b"\xff", b"\x00" * 1000, [("ce_type", None), ("ce_id", b"\xff"), ("clawx", b"")]),
        (b"key", b"value", [("", b"")] * 500),
        (b"key", b"value", [(NoText("name"), b"value")]),
        (b"key", b"value", [("ce_type", b"DepositRequested"), (NoText("ce_id"), b"id")]),
    ]
    async with hosting(log, CODEC) as runtime:
        await publish(log, CODEC, DepositRequested(workspace_id="w", amount=1))
        await send(producer, log, *foreign)
        await send(producer, log, *foreign[-2:], foreign[0], *foreign[-2:])
        await publish(log, CODEC, DepositRequested(workspace_id="w", amount=2), first=1)
        found = await heard(log, CODEC, Deposited, 2)
        assert [each.record.total for each in found] == [1, 3]
        said = await heard(log, CODEC, InputQuarantined, len(foreign) + 5, channel="task")
        assert len({each.record.input for each in said}) == len(foreign) + 5
        assert not runtime.halted
    assert [each.record.total for each in await heard(log, CODEC, Deposited, 2)] == [1, 3]


async def test_what_was_packed_comes_unpacked_and_a_small_batch_never_stands_for_a_vast_one(
    log: Log, producer: AIOKafkaProducer
) -> None:
    await send(producer, log, (b"key", b"value" * 1000, []), packed=True)
    reader = await log.reader({P0: 0})
    assert [each.value for each in (await reader.read())[P0]] == [b"value" * 1000]
    with pytest.raises((MessageSizeTooLargeError, RecordListTooLargeError)):
        await send(producer, log, (b"key", b"\x00" * 2**26, []), packed=True)
    assert await log.ends([P0]) == {P0: 1}
    await reader.close()
