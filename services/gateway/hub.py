"""The newest records of a channel, read once for all who listen to it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from bus.channel import Partition, Position
from bus.codec import Codec
from bus.errors import BusError
from bus.log import Log
from bus.reader import FencedReader, Place
from bus.record import Envelope
from services.wire import envelope_to_json

logger = logging.getLogger(__name__)

QUEUE_MAX = 1_000
"""Most records that wait for a listener; whoever lets more wait is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A record, written down once for all listeners."""

    envelope: Envelope
    text: str

    @property
    def at(self) -> Position:
        assert self.envelope.at is not None  # it stands on the log
        return self.envelope.at


@dataclass(slots=True, kw_only=True, eq=False)
class Listener:
    """Somebody who listens: what waits for them, and why nothing more will come."""

    wants: Callable[[Envelope], bool]
    waiting: deque[Heard] = field(default_factory=deque)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""  # why nothing more will come

    def hear(self, heard: Heard) -> None:
        if self.reason or not self.wants(heard.envelope):
            return
        if len(self.waiting) >= QUEUE_MAX:
            self.end(f"too slow: {QUEUE_MAX} records were waiting")
            return
        self.waiting.append(heard)
        self.stirred.set()

    def end(self, reason: str) -> None:
        """Nothing more will come."""
        self.reason = self.reason or reason
        self.waiting.clear()
        self.stirred.set()


class Hub:
    """Follows one channel while somebody listens."""

    def __init__(
        self, log: Log, codec: Codec, channel: str, now: Callable[[], Awaitable[Mapping[Partition, Place]]]
    ) -> None:
        self._log, self._codec, self.channel, self._now = log, codec, channel, now
        self._types = [kind for kind in codec.types.values() if kind.channel == channel]
        self._listeners: set[Listener] = set()
        self._reader: FencedReader | None = None
        self._reading: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def attach(self, listener: Listener) -> Mapping[Partition, int]:
        """Hear what stands at these offsets and above from here on."""
        async with self._opening:
            if self._reader is None:
                self._reader = await FencedReader.open(self._log, self._codec, await self._now(), self._types)
                self._reading = asyncio.create_task(self._read(self._reader), name=f"hub-{self.channel}")
            self._listeners.add(listener)
            return {partition: place.offset for partition, place in self._reader.places().items()}

    def detach(self, listener: Listener) -> None:
        """Hear no more."""
        self._listeners.discard(listener)

    async def _read(self, reader: FencedReader) -> None:
        """Until nobody listens, or reading fails."""
        try:
            while self._listeners:
                for envelope in await reader.read():
                    heard = Heard(envelope=envelope, text=envelope_to_json(envelope))
                    for listener in self._listeners:
                        listener.hear(heard)
        except BusError as error:
            logger.warning("the stream of %s broke: %s", self.channel, error)
            for listener in self._listeners:
                listener.end(f"the log cannot be read: {error}")
            self._listeners.clear()
        finally:
            self._reader = self._reading = None
            await reader.close()

    async def close(self) -> None:
        """Let go of the log."""
        if self._reading is not None:
            reading = self._reading
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
