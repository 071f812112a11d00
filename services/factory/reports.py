"""The reports of a node on their way into the log: whole batches, each repeated under the same id until it is there."""

import asyncio
import base64
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bus.channel import Partition, partition_number
from bus.clock import Clock
from bus.codec import Codec
from bus.errors import Retryable
from bus.log import BATCH_BYTES_MAX, Raw, size
from bus.publisher import Publisher
from bus.record import Ask, Origin, Report, derive_trace
from services.factory.journal import Journal

logger = logging.getLogger(__name__)

BATCH_RECORDS_MAX = 500
RETRY_MS = 100
RETRY_MS_MAX = 5_000


class _Waiting(NamedTuple):
    record_id: str
    raw: Raw
    told: Callable[[], None] | None


class Reports:
    """A queue for each partition, and one append at a time for each; what comes meanwhile shares the next batch."""

    def __init__(self, publisher: Publisher, codec: Codec, clock: Clock, partitions: int, journal: Journal) -> None:
        self._publisher, self._codec, self._clock, self._journal = publisher, codec, clock, journal
        self._partitions = partitions
        self._numbers: dict[str, int] = {}
        self._queues: dict[Partition, deque[_Waiting]] = {}
        self._sending: dict[Partition, asyncio.Task[None]] = {}
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(
        self,
        report: Report | Ask,
        record_id: str,
        *,
        trace: str = "",
        cause: str = "",
        kept: bool = True,
        told: Callable[[], None] | None = None,
    ) -> None:
        """Publish a report, or an ask of a worker. It stands in the journal until it is in the log, so that it outlives
        this process; one that is not `kept` comes there only when the log cannot take it. `told` is called once it is
        durable."""
        raw = self._codec.encode(
            report,
            record_id=record_id,
            origin=Origin("ask" if isinstance(report, Ask) else "report", cause=cause),
            time_ms=self._clock.now_ms(),
            trace=trace or derive_trace(record_id),
        )
        partition = self._partition(report)
        waiting = _Waiting(record_id, raw, told)
        if kept:
            self._keep(partition, waiting)
        self._queue(partition, waiting)

    async def settle(self, report: Report, record_id: str) -> None:
        """Publish a report and return once it is durable."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add(report, record_id, told=lambda: _settle(durable))
        await durable

    def repeat(self) -> None:
        """Publish again what the journal holds from an earlier life."""
        for record_id, entry in list(self._journal.reports.items()):
            channel, number = entry["at"].split("/")
            self._queue(Partition(channel, int(number)), _Waiting(record_id, _unpack(entry), None))

    async def drain(self) -> None:
        """Return once all reports are durable."""
        while sending := [task for task in self._sending.values() if not task.done()]:
            await asyncio.wait([*sending, self.failure], return_when=asyncio.FIRST_COMPLETED)
            if self.failure.done():
                self.failure.result()

    async def close(self) -> None:
        """Send no more; what is kept and not yet durable is sent by the next life of this node."""
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    def _partition(self, report: Report | Ask) -> Partition:
        key = report.key()
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = partition_number(key, self._partitions)
        return Partition(report.channel, number)

    def _keep(self, partition: Partition, waiting: _Waiting) -> None:
        if waiting.record_id not in self._journal.reports:
            self._journal.write("report", waiting.record_id, at=str(partition), **_pack(waiting.raw))

    def _queue(self, partition: Partition, waiting: _Waiting) -> None:
        queue = self._queues.setdefault(partition, deque())
        queue.append(waiting)
        sending = self._sending.get(partition)
        if sending is None or sending.done():
            task = self._sending[partition] = asyncio.create_task(self._send(partition, queue))
            task.add_done_callback(self._check)

    async def _send(self, partition: Partition, queue: deque[_Waiting]) -> None:
        while queue:
            batch = _take_batch(queue)
            await self._append(partition, batch)
            for waiting in batch:
                if waiting.record_id in self._journal.reports:
                    self._journal.write("sent", waiting.record_id)
                if waiting.told:
                    waiting.told()

    async def _append(self, partition: Partition, batch: list[_Waiting]) -> None:
        raws = [waiting.raw for waiting in batch]
        pause_ms = RETRY_MS
        while True:
            try:
                await self._publisher.append(partition, raws)
                return
            except Retryable as error:
                logger.warning("%d reports for %s wait for the log: %s", len(raws), partition, error)
            for waiting in (*batch, *self._queues[partition]):
                self._keep(partition, waiting)
            await asyncio.sleep(pause_ms / 1000)
            pause_ms = min(2 * pause_ms, RETRY_MS_MAX)

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self.failure.done():
            self.failure.set_exception(error)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _take_batch(queue: deque[_Waiting]) -> list[_Waiting]:
    batch: list[_Waiting] = []
    left = BATCH_BYTES_MAX
    while queue and len(batch) < BATCH_RECORDS_MAX and (not batch or size(queue[0].raw) <= left):
        left -= size(queue[0].raw)
        batch.append(queue.popleft())
    return batch


def _pack(raw: Raw) -> dict[str, Any]:
    return {
        "key": raw.key.decode(),
        "value": base64.b64encode(raw.value).decode(),
        "headers": [[name, value.decode()] for name, value in raw.headers],
        "time_ms": raw.time_ms,
    }


def _unpack(entry: Mapping[str, Any]) -> Raw:
    headers = tuple((name, value.encode()) for name, value in entry["headers"])
    return Raw(entry["key"].encode(), base64.b64decode(entry["value"]), headers, entry["time_ms"])
