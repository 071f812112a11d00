"""Publishing asks and reports: what everybody outside a role may write."""

import asyncio
import uuid
from collections.abc import Sequence

from bus.channel import Partition, Position, partition_number
from bus.clock import Clock
from bus.codec import Codec
from bus.errors import AppendUnknown, Refused
from bus.log import Appender, Log, Raw
from bus.record import Ask, Origin, Record, Report, derive_trace

ATTEMPTS_MAX = 5
"""How often an append of unknown outcome is repeated under the same ids before the caller is told."""


class Publisher:
    """Appends asks and reports to the partition of their key. A repeat under the same id is harmless to every
    Decider."""

    def __init__(self, log: Log, codec: Codec, clock: Clock) -> None:
        self._log, self._codec, self._clock = log, codec, clock
        self._appender: Appender | None = None
        self._opening = asyncio.Lock()

    async def publish(self, record: Record, *, record_id: str = "", trace: str = "", cause: str = "") -> Position:
        """Append one record and wait until it is durable; gives its position.

        `record_id` makes a repeat recognisable and is random if not given. Raises Refused for facts and claims, and
        whatever `Log.append` ends with.
        """
        partition, raw = self._raw(record, record_id or uuid.uuid4().hex, trace, cause)
        offset = await self.append(partition, [raw])
        return Position(partition.channel, partition.number, offset)

    def _raw(self, record: Record, record_id: str, trace: str, cause: str) -> tuple[Partition, Raw]:
        if not isinstance(record, Ask | Report):
            raise Refused(f"{type(record).__name__} is a fact of its owner; only asks and reports may be published")
        kind = "ask" if isinstance(record, Ask) else "report"
        raw = self._codec.encode(
            record,
            record_id=record_id,
            origin=Origin(kind, cause=cause),
            time_ms=self._clock.now_ms(),
            trace=trace or derive_trace(record_id),
        )
        number = partition_number(record.key(), self._log.partitions)
        return Partition(record.channel, number), raw

    async def append(self, partition: Partition, raws: Sequence[Raw]) -> int:
        """Append already encoded asks, reports or posts as one batch, repeating it while its outcome is unknown."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            appender = await self._open()
            try:
                return await asyncio.shield(appender.append(partition, raws))
            except AppendUnknown:
                await self._discard(appender)
                if attempt == ATTEMPTS_MAX:
                    raise
        raise AssertionError("unreachable")

    async def _open(self) -> Appender:
        async with self._opening:
            if self._appender is None:
                self._appender = await self._log.appender()
            return self._appender

    async def _discard(self, appender: Appender) -> None:
        if self._appender is appender:
            self._appender = None
        await appender.close()

    async def close(self) -> None:
        """Let go of the producer."""
        if self._appender is not None:
            await self._appender.close()
            self._appender = None
