"""What a reader on Kafka holds open is closed with it, whatever happens to who closes it."""

import asyncio
import contextlib

import pytest

from bus.address import open_log
from bus.backends.kafka_reader import KafkaReader


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_a_reader_is_closed_though_who_closes_it_is_cancelled(kafka: str, namespace: str, steps: int) -> None:
    log = await open_log(f"kafka://{kafka}?namespace={namespace}&partitions=1")
    reader = await log.reader({})
    assert isinstance(reader, KafkaReader)
    closing = asyncio.create_task(reader.close())
    for _ in range(steps):
        await asyncio.sleep(0)
    for _ in range(2):
        closing.cancel()
        await asyncio.sleep(0)
    with contextlib.suppress(asyncio.CancelledError):
        await closing
    assert reader._consumer._closed
    await log.close()
