"""What a node says about its workers beside the work: heartbeats and lines of output; lost when the log is away."""

import asyncio
import logging
import secrets
from collections import deque

from bus.channel import Partition, partition_number
from bus.clock import Clock
from bus.codec import Codec
from bus.errors import BusError
from bus.log import BATCH_BYTES_MAX, Raw, size
from bus.publisher import Publisher
from bus.record import Origin, Report, derive_id, derive_trace

logger = logging.getLogger(__name__)

WAITING_RECORDS_MAX = 5_000
"""So many may wait for the log; the oldest are left out then."""

BATCH_RECORDS_MAX = 200


class Telemetry:
    """Sends what it is given in batches, without making anybody wait."""

    def __init__(self, publisher: Publisher, codec: Codec, clock: Clock, partitions: int) -> None:
        self._publisher, self._codec, self._clock, self._partitions = publisher, codec, clock, partitions
        self._prefix, self._count = secrets.token_hex(12), 0
        self._queues: dict[Partition, deque[Raw]] = {}
        self._sending: dict[Partition, asyncio.Task[None]] = {}

    def add(self, report: Report, trace: str = "") -> None:
        """Send a report soon, or never if the log cannot take it."""
        self._count += 1
        record_id = derive_id(self._prefix, self._count)
        raw = self._codec.encode(
            report,
            record_id=record_id,
            origin=Origin("report"),
            time_ms=self._clock.now_ms(),
            trace=trace or derive_trace(record_id),
        )
        partition = Partition(report.channel, partition_number(report.key(), self._partitions))
        queue = self._queues.setdefault(partition, deque(maxlen=WAITING_RECORDS_MAX))
        queue.append(raw)
        if partition not in self._sending:
            self._sending[partition] = asyncio.create_task(self._send(partition, queue))

    async def _send(self, partition: Partition, queue: deque[Raw]) -> None:
        try:
            while queue:
                await self._publisher.append(partition, _take_batch(queue))
        except BusError as error:
            logger.warning("telemetry for %s is lost: %s", partition, error)
            queue.clear()
        finally:
            del self._sending[partition]

    async def close(self) -> None:
        """Send no more."""
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)


def _take_batch(queue: deque[Raw]) -> list[Raw]:
    batch: list[Raw] = []
    left = BATCH_BYTES_MAX
    while queue and len(batch) < BATCH_RECORDS_MAX and (not batch or size(queue[0]) <= left):
        left -= size(queue[0])
        batch.append(queue.popleft())
    return batch
