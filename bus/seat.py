"""A seat: one role on one partition in this process, from assignment to release, through as many sessions as it
takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from bus.appender import SharedAppender
from bus.channel import Partition, Position
from bus.codec import Peek
from bus.decider import Role
from bus.errors import Fatal, Retryable
from bus.feed import Feeds, Subscription
from bus.home_fold import HomeFold
from bus.log import Appender, Log, Stored
from bus.reader import START, Place
from bus.record import Claimed, Envelope, Origin, PostAcknowledged, derive_id, derive_trace
from bus.session import Ports, Session
from bus.snapshot import Snapshot, Snapshots

logger = logging.getLogger(__name__)

CLAIM_BACKOFF_MIN_MS = 50
CLAIM_BACKOFF_MAX_MS = 5_000

HANDED_OVER_RECORDS = 1_000
"""Own facts since the last snapshot that make one worth while at hand-over."""


PASSED_FACTOR = 2
"""So many times more records of others at home make a snapshot worth while as well: a role that says little would else
read all of a busy home again at every start, 12 s for 1.9 million records."""


class SessionLost(Exception):
    """The claim is over; everything in memory goes with it."""


class Seat:
    """Claims, folds, recovers and then listens; starts over whenever its session is lost."""

    def __init__(
        self, role: Role[Any], number: int, log: Log, feeds: Feeds, appenders: SharedAppender, ports: Ports
    ) -> None:
        self.role, self.home = role, Partition(role.home, number)
        self._log, self._feeds, self._appenders, self._ports = log, feeds, appenders, ports
        self.session: Session | None = None
        self.halted = ""
        self.deciding = asyncio.Event()
        self.moved: Callable[[], None] = lambda: None  # told when it begins to decide, and when it halts
        self._over: asyncio.Future[str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._targets: dict[str, int] = {}
        self._savings: dict[asyncio.Task[None], None] = {}

    @property
    def name(self) -> str:
        return f"{self.role.name}[{self.home.number}]"

    # The life.

    async def run(self) -> None:
        """Own the partition until cancelled or halted."""
        backoff_ms = CLAIM_BACKOFF_MIN_MS
        while not self.halted:
            try:
                if await self._serve():
                    backoff_ms = CLAIM_BACKOFF_MIN_MS
            except SessionLost as lost:
                logger.warning("%s lost its session: %s", self.name, lost)
            except Retryable as error:
                logger.warning("%s cannot claim yet: %s", self.name, error)
            except Fatal as error:
                self.halt(str(error))
            except Exception as error:  # nobody waits for this task: what stops it must be said here
                logger.critical("%s failed", self.name, exc_info=error)
                self.halt(f"{type(error).__name__}: {error}")
            finally:
                self.leave()
            await asyncio.sleep(backoff_ms / 1000 * self._ports.random.uniform(0.5, 1.5))
            backoff_ms = min(backoff_ms * 2, CLAIM_BACKOFF_MAX_MS)

    async def _serve(self) -> bool:
        """One session, from its claim to its end; True if it lasted, so that the next one may claim without waiting."""
        self._over = asyncio.get_running_loop().create_future()
        appender, began = await self._appenders.current(), asyncio.get_running_loop().time()
        try:
            self.session = await self._claim(appender)
            await self._listen(self.session)
            reason = await self._over
        except Retryable:
            await self._appenders.discard(appender)
            raise
        logger.warning("%s lost its session: %s", self.name, reason)
        if "append failed" in reason:
            await self._appenders.discard(appender)
        return (asyncio.get_running_loop().time() - began) * 1000 > CLAIM_BACKOFF_MAX_MS

    async def _claim(self, appender: Appender) -> Session:
        """Fold home, claim with the next epoch, fold up to the own claim; the session may decide from there."""
        fold = HomeFold(self.role, self.home, self._ports.codec, self._log.partitions)
        if self._ports.snapshots is not None:
            await fold.start(self._log, self._ports.snapshots)
        end = (await self._log.ends([self.home]))[self.home]
        await fold.read(self._log, end)
        claim = Origin("claim", self.role.name, f"{self._ports.random.getrandbits(64):016x}", fold.epoch + 1)
        record = Claimed(role=claim.role, session=claim.session, epoch=claim.epoch)
        raw = self._ports.codec.encode(
            record,
            record_id=derive_id("claim", claim.session),
            origin=claim,
            time_ms=self._ports.clock.now_ms(),
            trace=derive_trace(claim.session),
        )
        claimed_at = await asyncio.shield(appender.append(self.home, [raw]))
        await fold.read(self._log, claimed_at + 1)
        if fold.session != claim.session:
            raise SessionLost(f"session {fold.session} claimed it first")
        session = Session(
            self.role,
            self.home,
            claim,
            claimed_at,
            fold.state,
            fold.ledger,
            appender,
            self._ports,
            lose=lambda reason: self._lose_claim(claim, reason),
            progressed=self._progressed,
        )
        session.confirmed_records, session.snapshot_offset = fold.records, fold.started_at
        return session

    async def _listen(self, session: Session) -> None:
        """Hear every input from where the fold says, then go live once all were heard up to where they end now."""
        partitions = [Partition(channel, self.home.number) for channel in self.role.inputs]
        ends = await self._log.ends(partitions)
        for partition in partitions:
            place = session.ledger.inputs.get(partition.channel, START)
            await self._feeds.attach(self._subscription(partition), partition, place)
            if self.session is not session:
                return
        self._targets = {partition.channel: end for partition, end in ends.items()}
        self._check_live()

    def _subscription(self, partition: Partition) -> Subscription:
        at_home = partition == self.home
        wanted = self.role.heard_on(partition.channel)
        return Subscription(
            listener=self,
            role=self.role.name,
            wanted=wanted | {PostAcknowledged.__name__} if at_home else wanted,
            at_home=at_home,
            quarantines=partition.channel in self.role.quarantines,
        )

    def _check_live(self) -> None:
        session = self.session
        if session is None or session.live or not self._targets:
            return
        places = self._places()
        if all(places[channel].offset >= end for channel, end in self._targets.items()):
            self.deciding.set()
            self.moved()
            self._guarded(session.go_live)
            self._set_timer()

    def _places(self) -> Mapping[str, Place]:
        return {channel: self._feeds.place(Partition(channel, self.home.number)) for channel in self.role.inputs}

    def _lose_claim(self, claim: Origin, reason: str) -> None:
        """A session of this seat cannot go on; one that was lost before may say so late."""
        if self.session is not None and self.session.claim is claim:
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        self.leave()
        if self._over is not None and not self._over.done():
            self._over.set_result(reason)

    def halt(self, reason: str) -> None:
        """Stop deciding for good, loudly; a newer version of this process may go on from here."""
        logger.critical("%s halts: %s", self.name, reason)
        self.halted = reason
        self._lose(reason)
        self.moved()

    def leave(self) -> None:
        """Forget the session: from here on nothing is heard, decided or sent."""
        self.session, self._targets = None, {}
        self.deciding.clear()
        self._feeds.detach(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def release(self) -> None:
        """Hand over in order: hear no more, note how far the inputs were heard, wait until all that was said is in
        the log.
        """
        if (session := self.session) and session.live:
            self._guarded(lambda: session.note_heard(self._places, least=1))
            self._take_snapshot(session, min(HANDED_OVER_RECORDS, self._ports.snapshot_records))
            self._feeds.detach(self)
            while self.session is session and not session.is_settled:
                self._feeds.room.clear()
                await self._feeds.room.wait()
            await asyncio.gather(*self._savings)
        self.leave()

    def _take_snapshot(self, session: Session, least: int) -> None:
        """Keep the fold, if so much was read back since the last time; being immutable, it is written in a thread."""
        snapshots = self._ports.snapshots
        if snapshots is None:
            return
        passed = self._feeds.offset(self.home) - session.snapshot_offset
        if session.confirmed_records < least and passed < least * PASSED_FACTOR:
            return
        if snapshot := session.snapshot(self._feeds.place(self.home), self._feeds.newest(self.home)):
            saving = asyncio.create_task(self._save(snapshots, snapshot))
            self._savings[saving] = None
            saving.add_done_callback(lambda done: self._savings.pop(done, None))

    async def _save(self, snapshots: Snapshots, snapshot: Snapshot) -> None:
        """A snapshot that cannot be kept costs time at the next start and nothing else."""
        try:
            await asyncio.to_thread(snapshots.save, self.role, self.home, snapshot)
        except OSError as error:
            logger.warning("a snapshot of %s was not kept: %s", self.name, error)

    # What the feeds tell; nothing here may raise.

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 — halts the seat
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """An error here is this role's alone and stops it."""
        logger.critical("%s failed", self.name, exc_info=error)
        self.halt(f"{type(error).__name__}: {error}")

    # `hear` and `read_back` are called for every record: a function made for `_guarded` each time cost 3 us a stage.

    def hear(self, envelope: Envelope) -> None:
        if session := self.session:
            try:
                session.hear(envelope)
            except Exception as error:  # noqa: BLE001 — halts the seat
                self._fail(error)

    def read_back(self, stored: Stored, peek: Peek, counts: bool) -> None:
        if session := self.session:
            try:
                session.read_back(stored, peek, counts)
            except Exception as error:  # noqa: BLE001 — halts the seat
                self._fail(error)

    def quarantine_undecodable(self, at: Position, stored: Stored, error: Exception) -> None:
        if session := self.session:
            self._guarded(lambda: session.quarantine_undecodable(at, stored, error))

    def flush(self) -> None:
        if session := self.session:
            self._guarded(lambda: self._flush(session))

    def _flush(self, session: Session) -> None:
        session.flush()
        if session.live:
            session.note_heard(self._places)
            self._take_snapshot(session, self._ports.snapshot_records)
            self._set_timer()
        else:
            self._check_live()

    def resume(self) -> None:
        """A blob has come."""
        if session := self.session:
            self._guarded(session.resume)
            self._guarded(self._set_timer)

    @property
    def has_room(self) -> bool:
        return self.session is None or self.session.has_room

    # Deadlines.

    def _set_timer(self) -> None:
        """Wake at the first deadline; a timer that turns out too early looks again."""
        session = self.session
        at_ms = session.next_deadline_ms() if session else None
        if at_ms is None or (self._timer is not None and self._timer_ms <= at_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay_ms = max(0, at_ms - self._ports.clock.now_ms())
        self._timer_ms = at_ms
        self._timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if session := self.session:
            self._guarded(session.wake)
            self._guarded(self._set_timer)

    def _progressed(self) -> None:
        """Something was acknowledged: there may be room for inputs and deadlines that had to wait."""
        self._feeds.room.set()
        if self._timer is None:
            self._guarded(self._set_timer)
