"""Feeds: one live reading of each channel for all sessions of a process, decoded once, fenced once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from bus.channel import Partition, Position
from bus.codec import Codec, Peek
from bus.errors import Retryable, Undecodable, UnknownRecordType
from bus.log import Log, Reader, Stored
from bus.reader import Admission, Place

logger = logging.getLogger(__name__)

CHUNK_RECORDS_MAX = 500
RETRY_S = 0.2


class Listener(Protocol):
    """A role on a partition, as a feed sees it. Nothing that it does may raise: a listener that cannot go on detaches
    itself."""

    def hear(self, envelope: Any) -> None: ...

    def read_back(self, stored: Stored, peek: Peek, counts: bool) -> None: ...

    def quarantine_undecodable(self, at: Position, stored: Stored, error: Exception) -> None: ...

    def halt(self, reason: str) -> None:
        """Stop for good: a record stands here that must be understood and is not."""
        ...

    def flush(self) -> None: ...

    @property
    def has_room(self) -> bool: ...


class Subscription(NamedTuple):
    """What a listener wants of one partition."""

    listener: Listener
    role: str
    wanted: frozenset[str]  # names of record types, and of posted types as "post:NAME"
    at_home: bool  # whether the role writes this partition
    quarantines: bool  # whether the role sets aside what nobody can decode here


class PartitionFeed:
    """The live reading of one partition: its fences, and who listens from which offset on."""

    def __init__(self, partition: Partition, codec: Codec, place: Place) -> None:
        self.partition, self._codec = partition, codec
        self.admission = Admission(codec, place)
        self._subscriptions: dict[Listener, tuple[Subscription, int]] = {}
        self._hearers: dict[str, list[Listener]] = {}
        self._owners: dict[str, Listener] = {}
        self._is_examined = False

    def add(self, subscription: Subscription, offset: int) -> None:
        """Listen to records from this offset on."""
        self._subscriptions[subscription.listener] = (subscription, offset)
        self._index()

    def remove(self, listener: Listener) -> bool:
        """Listen no more; whether anybody still does."""
        self._subscriptions.pop(listener, None)
        self._index()
        return bool(self._subscriptions)

    def _index(self) -> None:
        self._hearers, self._owners = {}, {}
        for subscription, _ in self._subscriptions.values():
            for name in subscription.wanted:
                self._hearers.setdefault(name, []).append(subscription.listener)
            if subscription.at_home:
                self._owners[subscription.role] = subscription.listener
        self._is_examined = any(subscription.quarantines for subscription, _ in self._subscriptions.values())

    def deliver(self, chunk: Sequence[Stored]) -> None:
        """Hand out a chunk, then let everybody send what was decided on it."""
        for stored, peek, counts in self.admission.admit(chunk):
            if isinstance(peek, Undecodable):
                self._set_aside(stored, peek)
                continue
            kind = peek.origin.kind
            if kind == "fact" or kind == "claim":
                if owner := self._owners.get(peek.origin.role):
                    owner.read_back(stored, peek, counts)
                if not counts:
                    continue
            if hearers := self._hearers.get(f"post:{peek.type}" if kind == "post" else peek.type):
                self._hand_out(stored, peek, tuple(hearers))
            elif self._is_examined and kind != "fact" and kind != "claim":
                self._examine(stored, peek)
        for listener in tuple(self._subscriptions):
            listener.flush()

    def _hand_out(self, stored: Stored, peek: Peek, hearers: Iterable[Listener]) -> None:
        try:
            envelope = self._codec.decode(stored, peek, self.partition)
        except (Undecodable, UnknownRecordType) as error:
            if peek.origin.kind in ("ask", "report", "post"):
                self._set_aside(stored, error)
                return
            for listener in hearers:
                listener.halt(f"{self.partition}/{stored.offset}: {error}")
            return
        for listener in hearers:
            found = self._subscriptions.get(listener)
            if found is not None and stored.offset >= found[1]:
                listener.hear(envelope)

    def _examine(self, stored: Stored, peek: Peek) -> None:
        """Nobody here hears it; whether anybody can decode it is still for the role that quarantines to say."""
        try:
            self._codec.decode(stored, peek, self.partition)
        except (Undecodable, UnknownRecordType) as error:
            self._set_aside(stored, error)

    def _set_aside(self, stored: Stored, error: Exception) -> None:
        at = Position(*self.partition, stored.offset)
        for subscription, offset in tuple(self._subscriptions.values()):
            if subscription.quarantines and stored.offset >= offset:
                subscription.listener.quarantine_undecodable(at, stored, error)

    def halt(self, reason: str) -> None:
        """Stop everybody who listens here."""
        for listener in tuple(self._subscriptions):
            listener.halt(reason)

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscriptions)

    @property
    def has_room(self) -> bool:
        return all(listener.has_room for listener in self._subscriptions)


class Feeds:
    """All feeds of a process: one reader and one task for each channel."""

    def __init__(self, log: Log, codec: Codec) -> None:
        self._log, self._codec = log, codec
        self._feeds: dict[Partition, PartitionFeed] = {}
        self._readers: dict[str, Reader] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._catching_up: dict[PartitionFeed, None] = {}  # in order, as a set is not
        self._opening = asyncio.Lock()
        self.room = asyncio.Event()

    async def attach(self, subscription: Subscription, partition: Partition, place: Place) -> None:
        """Let a listener hear a partition from a place on: at once what is there, then live, without a gap or a
        repeat."""
        own = PartitionFeed(partition, self._codec, place)
        own.add(subscription, place.offset)
        self._catching_up[own] = None
        try:
            while own.is_heard:
                async with self._opening:
                    if partition not in self._feeds:
                        await self._open(own)
                        return
                if await self._catch_up(own, subscription):
                    return
        finally:
            self._catching_up.pop(own, None)

    async def _open(self, feed: PartitionFeed) -> None:
        channel = feed.partition.channel
        if channel not in self._readers:
            self._readers[channel] = await self._log.reader({})
        self._feeds[feed.partition] = feed
        self._readers[channel].seek({feed.partition: feed.admission.offset})
        if channel not in self._tasks or self._tasks[channel].done():
            self._tasks[channel] = asyncio.create_task(self._follow(channel), name=f"feed {channel}")

    async def _catch_up(self, own: PartitionFeed, subscription: Subscription) -> bool:
        """Read on alone until the live feed, which goes on meanwhile, is met, and join it before it can move; False if
        it has gone or nobody listens any more."""
        partition, reader = own.partition, None
        try:
            while own.is_heard and (live := self._feeds.get(partition)) is not None:
                if own.admission.offset >= live.admission.offset:
                    live.add(subscription, own.admission.offset)
                    return True
                reader = reader or await self._log.reader({partition: own.admission.offset})
                chunk = (await reader.read(records_max=CHUNK_RECORDS_MAX)).get(partition, ())
                own.deliver([stored for stored in chunk if stored.offset < live.admission.offset])
                reader.seek({partition: own.admission.offset})
                await self._wait_for_room([own])
            return False
        finally:
            if reader is not None:
                await reader.close()

    def detach(self, listener: Listener) -> None:
        """Hear no more, of any partition."""
        for own in self._catching_up:
            own.remove(listener)
        for partition, feed in list(self._feeds.items()):
            if not feed.remove(listener):
                del self._feeds[partition]
                self._readers[partition.channel].drop([partition])
        self.room.set()

    def place(self, partition: Partition) -> Place:
        """Where a feed stands, with its fences."""
        return self._feeds[partition].admission.place

    def offset(self, partition: Partition) -> int:
        """Where a feed stands."""
        return self._feeds[partition].admission.offset

    def newest(self, partition: Partition) -> Stored | None:
        """The record before that place, if this feed has read it."""
        return self._feeds[partition].admission.newest

    async def _follow(self, channel: str) -> None:
        reader = self._readers[channel]
        while True:
            mine = [feed for partition, feed in self._feeds.items() if partition.channel == channel]
            await self._wait_for_room(mine)
            try:
                chunks = await reader.read(records_max=CHUNK_RECORDS_MAX)
                self._deliver(chunks)
            except Retryable as error:
                logger.warning("channel %s cannot be read yet: %s", channel, error)
                await asyncio.sleep(RETRY_S)
            except Exception as error:  # whoever listens must not wait in silence for what never comes
                logger.critical("channel %s cannot be read", channel, exc_info=error)
                self._halt(channel, f"channel {channel} cannot be read: {type(error).__name__}: {error}")
                return

    def _deliver(self, chunks: Mapping[Partition, Sequence[Stored]]) -> None:
        for partition, chunk in chunks.items():
            if feed := self._feeds.get(partition):
                feed.deliver(chunk)

    def _halt(self, channel: str, reason: str) -> None:
        for feed in [feed for partition, feed in self._feeds.items() if partition.channel == channel]:
            feed.halt(reason)

    async def _wait_for_room(self, feeds: Sequence[PartitionFeed]) -> None:
        while not all(feed.has_room for feed in feeds):
            self.room.clear()
            await self.room.wait()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for reader in self._readers.values():
            await reader.close()
