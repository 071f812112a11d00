"""`clawx bench bus`: how soon a published record is handled at a steady rate, and how many can be published and read a
second, with nothing behind the bus."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bus.address import open_log
from bus.channel import Partition, partition_number
from bus.clock import SystemClock
from bus.codec import Codec
from bus.log import Log, Raw
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Origin, derive_trace
from services.cli.bench.engine import quantile_ms
from services.cli.bench.pace import at_rate
from services.records import language_codec
from services.records.task import SignalRequested
from services.settings import Settings

WORKSPACES = 32
BATCH_RECORDS = 250
PAYLOAD = '{"text": "' + "x" * 100 + '"}'
WARM_UP_S = 1.0


async def bench_bus(bus: str, rate: int, seconds: float, records: int) -> dict[str, Any]:
    """Figures of one log: `p50_ms` and `p99_ms` from when a record was due to be published to when its handler has it;
    `publish_records_per_s` in batches, durable; `read_records_per_s` from the start, fenced and decoded."""
    async with _opened(bus) as (log, codec):
        latencies_s = await Latency(log, codec).run(rate, seconds)
        publish_s, publish_cpu_s = await _publish(log, codec, records)
        read, read_s, read_cpu_s = await _read(log, codec)
        return {
            "rate": rate,
            "p50_ms": quantile_ms(latencies_s, 0.50),
            "p99_ms": quantile_ms(latencies_s, 0.99),
            "publish_records_per_s": round(records / publish_s),
            "publish_cpu_us": round(publish_cpu_s / records * 1e6, 1),
            "read_records_per_s": round(read / read_s),
            "read_cpu_us": round(read_cpu_s / read * 1e6, 1),
            "namespace": log.namespace,
        }


@asynccontextmanager
async def _opened(bus: str) -> AsyncIterator[tuple[Log, Codec]]:
    """A fresh namespace on this log; without an address, a file that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="clawx-bench-") as directory:
        settings = Settings.read(os.environ, data=Path(directory), bus=bus or f"sqlite:///{directory}/log")
        codec = language_codec()
        log = await open_log(
            settings.bus_url,
            access=settings.access(),
            codec=codec,
            namespace=f"bench-{secrets.token_hex(4)}",
            partitions=settings.partitions,
        )
        try:
            yield log, codec
        finally:
            await log.close()


class Latency:
    """A publisher that sends one record after the other at a steady rate, and a handler in the same process."""

    def __init__(self, log: Log, codec: Codec) -> None:
        self._log, self._codec = log, codec
        self._publisher = Publisher(log, codec, SystemClock())
        self._due: dict[str, float] = {}
        self._latencies_s: list[float] = []

    async def run(self, rate: int, seconds: float) -> list[float]:
        """Seconds from due to handled of all records but those of the first moments."""
        count, skipped = int(rate * (seconds + WARM_UP_S)), int(rate * WARM_UP_S)
        handling = asyncio.create_task(self._handle(count))
        await at_rate(rate, count, self._publish)
        await handling
        await self._publisher.close()
        return self._latencies_s[skipped:]

    async def _publish(self, number: int, due: float) -> None:
        record_id = f"{number:024x}"
        self._due[record_id] = due
        await self._publisher.publish(_record(number), record_id=record_id)

    async def _handle(self, count: int) -> None:
        reader = await _reader(self._log, self._codec)
        while len(self._latencies_s) < count:
            for envelope in await reader.read():
                self._latencies_s.append(time.perf_counter() - self._due[envelope.id])
        await reader.close()


async def _publish(log: Log, codec: Codec, records: int) -> tuple[float, float]:
    """Seconds of the clock and of the processor until so many records are durable."""
    publisher = Publisher(log, codec, SystemClock())
    await publisher.append(Partition("task", 0), [next(_raws(codec, 1))[1]])  # connected from here on
    began, used = time.perf_counter(), time.process_time()
    batches: dict[Partition, list[Raw]] = defaultdict(list)
    sending: dict[Partition, asyncio.Task[int]] = {}
    for key, raw in _raws(codec, records):
        partition = Partition("task", partition_number(key, log.partitions))
        batches[partition].append(raw)
        if len(batches[partition]) == BATCH_RECORDS:
            if partition in sending:
                await sending[partition]  # one batch of a partition is on its way while the next is made
            sending[partition] = asyncio.create_task(publisher.append(partition, batches.pop(partition)))
    await asyncio.gather(*sending.values(), *(publisher.append(each, raws) for each, raws in batches.items()))
    found = time.perf_counter() - began, time.process_time() - used
    await publisher.close()
    return found


def _raws(codec: Codec, records: int) -> Iterator[tuple[str, Raw]]:
    now_ms = int(time.time() * 1000)
    for number in range(records):
        record, record_id = _record(number), f"{number:024x}"
        trace = derive_trace(record_id)
        raw = codec.encode(record, record_id=record_id, origin=Origin("ask"), time_ms=now_ms, trace=trace)
        yield record.key(), raw


async def _read(log: Log, codec: Codec) -> tuple[int, float, float]:
    """Records read from the start, and the seconds of the clock and of the processor that it took."""
    partitions = [Partition("task", number) for number in range(log.partitions)]
    wanted = sum((await log.ends(partitions)).values())
    reader, read = await _reader(log, codec), 0
    began, used = time.perf_counter(), time.process_time()
    while read < wanted:
        read += len(await reader.read())
    found = read, time.perf_counter() - began, time.process_time() - used
    await reader.close()
    return found


async def _reader(log: Log, codec: Codec) -> FencedReader:
    places = {Partition("task", number): START for number in range(log.partitions)}
    return await FencedReader.open(log, codec, places, (SignalRequested,))


def _record(number: int) -> SignalRequested:
    return SignalRequested(workspace_id=f"w{number % WORKSPACES}", run_id="none", signal="bench", payload=PAYLOAD)
