"""A would-be owner in the ownership schedules: the bus's own fold, feeds, session and outbox, stepped by hand."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bus.blob_cache import BlobCache
from bus.channel import Partition
from bus.codec import Peek
from bus.errors import AppendUnknown, BlobMissing, Unavailable
from bus.feed import PartitionFeed, Subscription
from bus.fence import Fence
from bus.home_fold import HomeFold
from bus.log import Raw, Stored
from bus.reader import START, Place
from bus.record import Claimed, Origin, PostAcknowledged
from bus.session import Ports, Session
from tests.simulation.schedule_role import CODEC, DECIDER, HOMES, Count

if TYPE_CHECKING:
    from tests.simulation.schedules import World

HOME = Partition("task", 0)
INPUTS = tuple(Partition(channel, 0) for channel in DECIDER.inputs)


class Pending:
    """What an append ends with; like a future, but nobody needs a loop to end it."""

    def __init__(self) -> None:
        self._offset: int | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], None]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def end(self, offset: int | None, error: BaseException | None = None) -> None:
        """Tell whoever waits."""
        if self._offset is None and self._error is None:
            self._offset, self._error = offset, error
            for callback in self._callbacks:
                callback(self)

    def cancelled(self) -> bool:
        return False

    def exception(self) -> BaseException | None:
        return self._error

    def result(self) -> int:
        assert self._offset is not None
        return self._offset


class Wire:
    """A producer session of an owner."""

    def __init__(self, world: World) -> None:
        self._world = world

    def append(self, partition: Partition, records: Sequence[Raw]) -> Any:
        pending = Pending()
        self._world.flight.append((self, partition, records, pending))
        return pending

    async def close(self) -> None:
        pass


class InstantReader:
    """Reads whatever a log of the world has, without ever waiting."""

    def __init__(self, records: Mapping[Partition, Sequence[Stored]], positions: Mapping[Partition, int]) -> None:
        self._records, self._positions = records, dict(positions)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> Mapping[Partition, Sequence[Stored]]:
        return {partition: self._records[partition][offset:] for partition, offset in self._positions.items()}

    async def close(self) -> None:
        pass


class InstantLog:
    """As much of a Log as a fold needs."""

    def __init__(self, records: Mapping[Partition, Sequence[Stored]]) -> None:
        self._records = records

    async def reader(self, positions: Mapping[Partition, int]) -> Any:
        return InstantReader(self._records, positions)


class NoBlobs:
    async def get(self, digest: str) -> bytes:
        raise BlobMissing(digest)

    async def put(self, content: bytes) -> str:
        raise Unavailable("nothing is kept here")


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


class Owner:
    """Claims, folds, recovers, decides; starts anew whenever its session is lost. A listener of its feeds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.start_session("")

    def start_session(self, reason: str) -> None:
        """Everything in memory goes with the producer session."""
        self.wire = Wire(self.world)
        self.session: Session | None = None
        self.fold: HomeFold | None = None
        self.claim: Pending | None = None
        self.feeds: dict[Partition, PartitionFeed] = {}
        self.targets: dict[Partition, int] = {}

    def step(self) -> None:
        if self.fold is None:
            self._send_claim()
        elif self.session is None:
            self._take_over()
        elif self.world.rng.random() < 0.07:
            self.session.note_heard(self._places, least=1)
        else:
            self._read(self.world.rng.choice(INPUTS))

    def _send_claim(self) -> None:
        world = self.world
        self.fold = HomeFold(DECIDER, HOME, CODEC, 1)
        at_once(self.fold.read(self._log(), len(world.records[HOME])))
        self.mine = Origin("claim", "R", f"{world.rng.getrandbits(40):010x}", self.fold.epoch + 1)
        record = Claimed(role="R", session=self.mine.session, epoch=self.mine.epoch)
        raw = CODEC.encode(record, record_id="claim", origin=self.mine, time_ms=world.clock.now_ms(), trace="0" * 32)
        self.claim = self.wire.append(HOME, [raw])

    def _log(self) -> Any:
        return InstantLog(self.world.records)

    def _take_over(self) -> None:
        """Once the claim was acknowledged; the session is another's if another claim came first."""
        assert self.claim is not None
        assert self.fold is not None
        if self.claim.exception():
            self.start_session("the claim failed")
        elif self.claim._offset is not None:
            at_once(self.fold.read(self._log(), self.claim.result() + 1))
            if self.fold.session != self.mine.session:
                self.start_session("another claim came first")
            else:
                self._begin(self.fold.state, self.fold, self.claim.result())

    def _begin(self, state: Count, fold: HomeFold, claimed_at: int) -> None:
        world, claim = self.world, self.mine
        ports = Ports(codec=CODEC, clock=world.clock, blobs=BlobCache(NoBlobs()), homes=HOMES, partitions=1)
        self.session = Session(
            DECIDER, HOME, claim, claimed_at, state, fold.ledger, self.wire, ports,
            lose=lambda reason: self._lose(claim, reason), progressed=lambda: None,
        )  # fmt: skip
        self.targets = {partition: len(world.records[partition]) for partition in INPUTS}
        for partition in INPUTS:
            self._attach(partition, self._place(fold, partition.channel))
        self._check_live()

    def _place(self, fold: HomeFold, channel: str) -> Place:
        """Where recovery hears on; two of the rules that can be taken away are about this."""
        world, place = self.world, fold.ledger.inputs.get(channel, START)
        if world.broken == "no_resume" and channel != HOME.channel:
            return world.end_place(Partition(channel, 0))
        if world.broken == "cold_fence" and channel != HOME.channel:
            return Place(fold.ledger.last.get(channel, -1) + 1, {"S": Fence(session="?")})
        return place

    def _attach(self, partition: Partition, place: Place) -> None:
        feed = PartitionFeed(partition, CODEC, place)
        at_home = partition == HOME
        wanted = DECIDER.heard_on(partition.channel) | ({PostAcknowledged.__name__} if at_home else set())
        feed.add(Subscription(self, "R", wanted, at_home=at_home, quarantines=False), place.offset)
        self.feeds[partition] = feed

    def _read(self, partition: Partition) -> None:
        """A record or a few of one input."""
        feed = self.feeds[partition]
        start = feed.admission.offset
        feed.deliver(self.world.records[partition][start : start + self.world.rng.choice((1, 1, 3))])

    def _places(self) -> Mapping[str, Place]:
        return {partition.channel: feed.admission.place for partition, feed in self.feeds.items()}

    def _check_live(self) -> None:
        session = self.session
        reached = all(self.feeds[partition].admission.offset >= end for partition, end in self.targets.items())
        if session and reached and not session.live:
            session.go_live()

    def _lose(self, claim: Origin, reason: str) -> None:
        if self.session is not None and self.session.claim is claim:
            for feed in self.feeds.values():
                feed.remove(self)
            self.start_session(reason)

    def unknown_append(self) -> None:
        """The client gives up all that it has no answer for."""
        wire = self.wire
        for sender, _, _, pending in list(self.world.flight):
            if sender is wire:
                pending.end(None, AppendUnknown("no acknowledgement"))

    # As a listener.

    def hear(self, envelope: Any) -> None:
        if self.session:
            self.session.hear(envelope)

    def read_back(self, stored: Stored, peek: Peek, counts: bool) -> None:
        if self.session:
            self.session.read_back(stored, peek, counts)

    def quarantine_undecodable(self, at: Any, stored: Stored, error: Exception) -> None:
        raise AssertionError(f"nothing is undecodable here: {error}")

    def halt(self, reason: str) -> None:
        raise AssertionError(reason)

    def flush(self) -> None:
        if self.session:
            self.session.flush()
            self._check_live()

    @property
    def has_room(self) -> bool:
        return True
