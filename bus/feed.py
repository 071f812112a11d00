"""Feeds: one live reading of each channel for all sessions of a process, decoded once, fenced once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from bus.channel import Partition, Position
from bus.codec import Codec, Peek
from bus.errors import OffsetOutOfRange, Retryable, Undecodable, UnknownRecordType
from bus.log import Log, Reader, Stored
from bus.reader import Admission, Place
from bus.record import Posted

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
            elif kind in ("ask", "report") and peek.type not in self._codec.types:
                self._set_aside(stored, UnknownRecordType(f"record type {peek.type!r} is not known here"))
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
    def has_room(self) -> bool:
        return all(listener.has_room for listener in self._subscriptions)


class Feeds:
    """All feeds of a process: one reader and one task for each channel."""

    def __init__(self, log: Log, codec: Codec) -> None:
        self._log, self._codec = log, codec
        self._feeds: dict[Partition, PartitionFeed] = {}
        self._readers: dict[str, Reader] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._opening = asyncio.Lock()
        self.room = asyncio.Event()

    async def attach(self, subscription: Subscription, partition: Partition, place: Place) -> None:
        """Let a listener hear a partition from a place on: at once what is there, then live, without a gap or a
        repeat."""
        own = PartitionFeed(partition, self._codec, place)
        own.add(subscription, place.offset)
        async with self._opening:
            if partition not in self._feeds:
                await self._open(own)
                return
        await self._catch_up(own)
        if partition in self._feeds:
            self._feeds[partition].add(subscription, own.admission.offset)
        else:  # whoever listened has gone meanwhile
            await self._open(own)

    async def _open(self, feed: PartitionFeed) -> None:
        channel = feed.partition.channel
        if channel not in self._readers:
            self._readers[channel] = await self._log.reader({})
        self._feeds[feed.partition] = feed
        self._readers[channel].seek({feed.partition: feed.admission.offset})
        if channel not in self._tasks:
            self._tasks[channel] = asyncio.create_task(self._follow(channel), name=f"feed {channel}")

    async def _catch_up(self, own: PartitionFeed) -> None:
        """Read on alone until the live feed, which goes on meanwhile, is met."""
        partition, reader = own.partition, None
        try:
            while partition in self._feeds and own.admission.offset < self._feeds[partition].admission.offset:
                reader = reader or await self._log.reader({partition: own.admission.offset})
                chunk = (await reader.read(records_max=CHUNK_RECORDS_MAX)).get(partition, ())
                behind = self._feeds[partition].admission.offset if partition in self._feeds else own.admission.offset
                own.deliver([stored for stored in chunk if stored.offset < behind])
                reader.seek({partition: own.admission.offset})
                await self._wait_for_room([own])
        finally:
            if reader is not None:
                await reader.close()

    def detach(self, listener: Listener) -> None:
        """Hear no more, of any partition."""
        for partition, feed in list(self._feeds.items()):
            if not feed.remove(listener):
                del self._feeds[partition]
                self._readers[partition.channel].drop([partition])
        self.room.set()

    def place(self, partition: Partition) -> Place:
        """Where a feed stands, with its fences."""
        return self._feeds[partition].admission.place

    async def _follow(self, channel: str) -> None:
        reader = self._readers[channel]
        while True:
            mine = [feed for partition, feed in self._feeds.items() if partition.channel == channel]
            await self._wait_for_room(mine)
            try:
                chunks = await reader.read(records_max=CHUNK_RECORDS_MAX)
            except OffsetOutOfRange as error:
                self._halt(mine, str(error))
                return
            except Retryable as error:
                logger.warning("channel %s cannot be read yet: %s", channel, error)
                await asyncio.sleep(RETRY_S)
                continue
            self._deliver(chunks)

    def _deliver(self, chunks: Mapping[Partition, Sequence[Stored]]) -> None:
        for partition, chunk in chunks.items():
            if feed := self._feeds.get(partition):
                feed.deliver(chunk)

    @staticmethod
    def _halt(feeds: Iterable[PartitionFeed], reason: str) -> None:
        for feed in feeds:
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


def wanted_names(kinds: Iterable[type[Any]], role: str) -> frozenset[str]:
    """Names under which a role hears these types: posts addressed to it as such, never the facts behind them."""
    return frozenset(
        f"post:{kind.__name__}" if issubclass(kind, Posted) and kind.addressee == role else kind.__name__
        for kind in kinds
    )
