"""Streams of records over some channels: from a position on, then live, until there is a reason to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bus.channel import STATE_CHANNELS, Partition, Position
from bus.codec import Codec
from bus.errors import Refused
from bus.log import Log
from bus.reader import FencedReader, Place
from bus.record import Envelope, Record
from services.gateway.caller import EVERYWHERE, Caller
from services.gateway.hub import Heard, Hub, Listener
from services.gateway.views.reading import Reading
from services.wire import envelope_to_json

BEAT_S = 10.0
"""After so long without a record a beat says that the stream lives."""

CATCH_UPS = 2
"""How often a stream that starts in the past reads up to the present before it listens; the rest is short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to hear."""

    types: Mapping[str, frozenset[type[Record]]]  # by channel
    key: str = ""
    after: Mapping[Partition, int] = field(default_factory=dict)  # last offsets seen
    from_start: bool = False  # of partitions that `after` does not name
    also: Callable[[Envelope], bool] = lambda envelope: True

    def fits(self, caller: Caller, envelope: Envelope) -> bool:
        """Whether a record is wanted, and the caller may see it."""
        return (
            type(envelope.record) in self.types.get(envelope.at.channel if envelope.at else "", ())
            and self.key in ("", envelope.key)
            and caller.sees(envelope.key or EVERYWHERE)
            and self.also(envelope)
        )


class Streams:
    """All streams of a gateway, and what ends them."""

    def __init__(self, log: Log, codec: Codec, reading: Reading, channels: Iterable[str]) -> None:
        self._log, self._codec, self._reading = log, codec, reading
        self._hubs = {channel: Hub(log, codec, channel, self._now(channel)) for channel in channels}
        self._open: dict[str, set[Listener]] = {}  # by key
        reading.keys.on_revoked = self._revoke

    def _now(self, channel: str) -> Callable[[], Awaitable[Mapping[Partition, Place]]]:
        async def now() -> Mapping[Partition, Place]:
            if channel in STATE_CHANNELS:
                return self._reading.followers[channel].places()
            partitions = [Partition(channel, number) for number in range(self._log.partitions)]
            return {each: Place(end) for each, end in (await self._log.ends(partitions)).items()}

        return now

    def _revoke(self, key_id: str) -> None:
        for listener in self._open.get(key_id, ()):
            listener.end("the key was revoked")

    async def close(self) -> None:
        """Let every listener go."""
        for listeners in self._open.values():
            for listener in listeners:
                listener.end("the gateway closes")
        for hub in self._hubs.values():
            await hub.close()

    @asynccontextmanager
    async def listen(self, wish: Wish, caller: Caller) -> AsyncIterator[Subscription]:
        """A stream for a caller; raises Refused for positions that it cannot go on from."""
        present = await self.present(wish)
        for partition, offset in wish.after.items():
            if not -1 <= offset < present.get(partition, -1):
                raise Refused(f"{partition}/{offset} is no position that this stream may go on from")
        seen = {p: wish.after.get(p, -1 if wish.from_start else end - 1) for p, end in present.items()}
        listener = Listener(wants=lambda envelope: wish.fits(caller, envelope))
        self._open.setdefault(caller.key_id, set()).add(listener)
        try:
            yield Subscription(self, wish, caller, listener, seen)
        finally:
            self._open[caller.key_id].discard(listener)
            if not self._open[caller.key_id]:
                del self._open[caller.key_id]
            for channel in wish.types:
                self._hubs[channel].detach(listener)

    async def present(self, wish: Wish) -> dict[Partition, int]:
        """The offsets that the next records of the channels of a wish get, as far as the views know."""
        places = [await self._now(channel)() for channel in wish.types]
        return {partition: place.offset for each in places for partition, place in each.items()}

    async def attach(self, wish: Wish, listener: Listener) -> dict[Partition, int]:
        """Let a listener hear all channels of a wish; gives the offsets from which on it does."""
        offsets: dict[Partition, int] = {}
        for channel in wish.types:
            offsets |= await self._hubs[channel].attach(listener)
        return offsets

    async def between(
        self, wish: Wish, caller: Caller, seen: Mapping[Partition, int], to: Mapping[Partition, int]
    ) -> AsyncIterator[Heard]:
        """What stands behind the offsets seen and before these."""
        for channel, types in wish.types.items():
            places = {
                partition: self._place_before(partition, seen[partition] + 1)
                for partition, end in to.items()
                if partition.channel == channel and seen[partition] + 1 < end
            }
            if not places:
                continue
            reader = await FencedReader.open(self._log, self._codec, places, types)
            try:
                while any(place.offset < to[partition] for partition, place in reader.places().items()):
                    for envelope in await reader.read():
                        at = envelope.at
                        assert at is not None  # it stands on the log
                        partition = Partition(at.channel, at.number)
                        if seen[partition] < at.offset < to[partition] and wish.fits(caller, envelope):
                            yield Heard(envelope=envelope, text=envelope_to_json(envelope))
            finally:
                await reader.close()

    def _place_before(self, partition: Partition, offset: int) -> Place:
        """Only at saved places the fences are known; telemetry has none."""
        follower = self._reading.followers.get(partition.channel)
        return follower.place_before(partition, offset) if follower else Place(offset)


class Subscription:
    """One stream under way."""

    def __init__(
        self, streams: Streams, wish: Wish, caller: Caller, listener: Listener, seen: dict[Partition, int]
    ) -> None:
        self._streams, self._wish, self._caller, self._listener, self._seen = streams, wish, caller, listener, seen

    @property
    def mark(self) -> str:
        """The id to go on from: the last position seen of each partition."""
        return ",".join(str(Position(*partition, offset)) for partition, offset in sorted(self._seen.items()))

    @property
    def reason(self) -> str:
        """Why it ended."""
        return self._listener.reason

    async def heard(self) -> AsyncIterator[Heard | None]:
        """Records, and None for a beat; ends when there is a reason to."""
        for turn in range(CATCH_UPS + 1):
            listens = turn == CATCH_UPS
            to = await (
                self._streams.attach(self._wish, self._listener) if listens else self._streams.present(self._wish)
            )
            async for heard in self._streams.between(self._wish, self._caller, dict(self._seen), to):
                if self._is_over():
                    return
                self._note(heard)
                yield heard
            self._seen |= {partition: max(self._seen[partition], end - 1) for partition, end in to.items()}
        while await self._stirs():
            if not self._listener.waiting:
                yield None
            while self._listener.waiting:
                self._note(heard := self._listener.waiting.popleft())
                yield heard

    async def _horizon(self, *, listens: bool) -> dict[Partition, int]:
        """How far to read: to the present, or to where listening begins."""
        if listens:
            return await self._streams.attach(self._wish, self._listener)
        return await self._streams.present(self._wish)

    def _note(self, heard: Heard) -> None:
        self._seen[Partition(heard.at.channel, heard.at.number)] = heard.at.offset

    async def _stirs(self) -> bool:
        """Wait until something waits or a beat is due; tells whether the stream goes on."""
        try:
            async with asyncio.timeout(min(BEAT_S, self._left_s())):
                await self._listener.stirred.wait()
        except TimeoutError:
            return not self._is_over()
        self._listener.stirred.clear()
        return not self._is_over()

    def _is_over(self) -> bool:
        if self._left_s() <= 0:
            self._listener.end("the key has expired")
        return bool(self._listener.reason)

    def _left_s(self) -> float:
        """How long the caller's key is still valid."""
        expires = self._caller.expires_at_ms
        return max(0.0, expires / 1000 - time.time()) if expires else float("inf")
