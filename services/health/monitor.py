"""The monitor: hears heartbeats, keeps the leases of what the watch watches, and reports what runs out or comes back.

It is volatile: after a start, a take-over or a pause every lease starts full. A miss counts only once telemetry has
been read to its end as of the moment in which the lease had run out, so that a slow monitor accuses nobody.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from bus.channel import Partition
from bus.clock import Clock
from bus.codec import Codec
from bus.errors import BusError, Retryable
from bus.log import Log
from bus.publisher import Publisher
from bus.reader import START, FencedReader, Place
from bus.record import Envelope, derive_id
from services.health.leases import Lease, Leases
from services.records.event import (
    LeaseMissed,
    LeaseResumed,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    SubjectUnwatched,
    SubjectWatched,
)
from services.records.telemetry import NodeHeartbeat

logger = logging.getLogger(__name__)

TICK_MS = 200
"""How often leases are looked at."""

PAUSE_MS_MAX = 2_000
"""After a longer time in which it did not run, the monitor trusts no lease; the machine may have slept."""

SUBJECTS = (SubjectWatched, SubjectUnwatched, SubjectLate, SubjectRecovered, SubjectLost)
"""What the watch says: whose leases are to be kept, and what it has made of the reports so far."""

RETRY_MS = 500
RECORDS_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """`partitions` are the numbers whose subjects it watches; all of them unless given."""

    lease_ms: int = 5_000  # until a heartbeat names another
    partitions: frozenset[int] | None = None


class Monitor:
    """One monitor. `run` until it is cancelled or fails, then `close`."""

    def __init__(self, log: Log, codec: Codec, clock: Clock, settings: MonitorSettings | None = None) -> None:
        self._log, self._codec, self._clock = log, codec, clock
        self._settings = settings or MonitorSettings()
        self._publisher = Publisher(log, codec, clock)
        self._leases = Leases(self._settings.lease_ms)
        self._events: FencedReader | None = None
        self._telemetry: FencedReader | None = None

    @property
    def watched(self) -> int:
        """How many subjects it watches."""
        return len(self._leases)

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            try:
                await self._watch()
            except Retryable as error:
                logger.warning("the log cannot be read; trying again: %s", error)
            await asyncio.sleep(RETRY_MS / 1000)

    async def _watch(self) -> None:
        events, telemetry = await self._open()
        self._leases.refill(asyncio.get_running_loop().time())
        following = [
            asyncio.create_task(self._follow_subjects(events)),
            asyncio.create_task(self._keep_leases(telemetry)),
        ]
        try:
            ended, _ = await asyncio.wait(following, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            await self._close_readers()

    async def _open(self) -> tuple[FencedReader, FencedReader]:
        """Readers of subjects, behind all that is known of them, and of telemetry, from its end on."""
        numbers = self._settings.partitions
        wanted = range(self._log.partitions) if numbers is None else sorted(numbers)
        ends = await self._log.ends([Partition("telemetry", number) for number in range(self._log.partitions)])
        places = {partition: Place(offset=end) for partition, end in ends.items()}
        self._telemetry = await FencedReader.open(self._log, self._codec, places, [NodeHeartbeat])
        events = {Partition("event", number): START for number in wanted}
        self._events = await FencedReader.open(self._log, self._codec, events, SUBJECTS)
        await self._read_to_end(self._events)
        return self._events, self._telemetry

    async def _follow_subjects(self, events: FencedReader) -> None:
        while True:
            for envelope in await events.read(records_max=RECORDS_MAX):
                self._take(envelope)

    def _take(self, envelope: Envelope) -> None:
        record = envelope.record
        now = asyncio.get_running_loop().time()
        if isinstance(record, NodeHeartbeat):
            self._leases.hear(record, now, envelope.time_ms)
        elif envelope.origin.kind != "fact":
            return
        elif isinstance(record, SubjectWatched):
            self._leases.watch(record, now, envelope.time_ms)
        else:
            self._leases.judge(record)

    async def _read_to_end(self, reader: FencedReader) -> None:
        """Take everything that stands in the log by now."""
        ends = await self._log.ends(reader.places())
        while any(reader.places()[partition].offset < end for partition, end in ends.items()):
            for envelope in await reader.read(records_max=RECORDS_MAX):
                self._take(envelope)

    async def _keep_leases(self, telemetry: FencedReader) -> None:
        loop = asyncio.get_running_loop()
        last = looked = loop.time()
        while True:
            for envelope in await telemetry.read(records_max=RECORDS_MAX, wait_ms=TICK_MS):
                self._take(envelope)
            now = loop.time()
            if now - last > PAUSE_MS_MAX / 1000:
                logger.warning("this process did not run for %d ms; all leases start anew", 1000 * (now - last))
                self._leases.refill(now)
            last = now
            if now - looked >= TICK_MS / 1000:
                await self._report_changes(telemetry, now)
                last = looked = loop.time()

    async def _report_changes(self, telemetry: FencedReader, now: float) -> None:
        if self._leases.run_out(now):
            await self._read_to_end(telemetry)
        missed = [self._report_missed(lease, now) for lease in self._leases.run_out(now)]
        resumed = [self._report_resumed(lease) for lease in self._leases.come_back()]
        await asyncio.gather(*missed, *resumed)

    async def _report_missed(self, lease: Lease, now: float) -> None:
        if await self._publish(lease.missed(self._leases.explain(lease, now))):
            lease.is_missed = True

    async def _report_resumed(self, lease: Lease) -> None:
        if await self._publish(lease.resumed()):
            lease.is_missed = lease.is_back = False

    async def _publish(self, report: LeaseMissed | LeaseResumed) -> bool:
        """Whether it came into the log; if not, it is tried again when the leases are looked at next."""
        at_ms = report.last_seen_ms if isinstance(report, LeaseMissed) else report.seen_ms
        record_id = derive_id(type(report).__name__, report.subject, report.session, report.incarnation, at_ms)
        try:
            await self._publisher.publish(report, record_id=record_id)
        except Retryable as error:
            logger.warning("a lease of %s cannot be reported yet: %s", report.subject, error)
            return False
        return True

    async def _close_readers(self) -> None:
        for reader in (self._events, self._telemetry):
            if reader:
                await reader.close()
        self._events = self._telemetry = None

    async def close(self) -> None:
        """Let go of the log."""
        try:
            await self._close_readers()
        except BusError as error:
            logger.debug("a reader of the monitor did not close: %s", error)
        await self._publisher.close()
