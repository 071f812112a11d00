"""Keeps the views of a channel up to date, and knows how far they are."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from bus.channel import Partition, Position
from bus.codec import Codec
from bus.errors import BusError, Unavailable
from bus.log import Log
from bus.reader import START, FencedReader, Place
from bus.record import Record
from services.gateway.views.view import View

logger = logging.getLogger(__name__)

CHUNK_RECORDS = 200
"""So many records are folded before others of the process have their turn."""

SAVE_RECORDS = 5_000
"""After so many records of a partition the place is saved, for streams that start in the past."""

PLACES_MAX = 64
"""Most saved places of a partition; above it every second one is forgotten."""

RETRY_S = 1.0
"""How long after a failure of the log reading is tried again."""


class Follower:
    """Reads one channel from its start and gives each view what it wants."""

    def __init__(self, log: Log, codec: Codec, channel: str, views: Sequence[View]) -> None:
        self._log, self._codec, self.channel = log, codec, channel
        self._by_type: dict[type[Record], list[View]] = {}
        for view in views:
            for kind in view.wants:
                if kind.channel == channel:
                    self._by_type.setdefault(kind, []).append(view)
        self._places: Mapping[Partition, Place] = {
            Partition(channel, number): START for number in range(log.partitions)
        }
        self._saved: dict[Partition, list[Place]] = {partition: [START] for partition in self._places}
        self._moved = asyncio.Event()
        self.failure = ""

    async def run(self) -> None:
        """Follow until cancelled. What nobody can read ends it, since all that follows would be a guess."""
        while True:
            try:
                await self._follow()
            except Unavailable as error:
                logger.warning("the views of %s wait for the log: %s", self.channel, error)
                await asyncio.sleep(RETRY_S)
            except BusError as error:
                self.failure = str(error)
                self._tell()
                logger.error("the views of %s stand still: %s", self.channel, error)
                return

    async def _follow(self) -> None:
        reader = await FencedReader.open(self._log, self._codec, self._places, tuple(self._by_type))
        try:
            while True:
                for envelope in await reader.read(records_max=CHUNK_RECORDS):
                    for view in self._by_type[type(envelope.record)]:
                        view.apply(envelope)
                self._places = reader.places()
                self._save()
                self._tell()
                await asyncio.sleep(0)
        finally:
            await reader.close()

    def places(self) -> Mapping[Partition, Place]:
        """How far the views are, with the fences there."""
        return self._places

    def place_before(self, partition: Partition, offset: int) -> Place:
        """The newest saved place at or before an offset."""
        saved = self._saved.get(partition, [START])
        return saved[bisect_right(saved, offset, key=lambda place: place.offset) - 1]

    def _save(self) -> None:
        for partition, place in self._places.items():
            saved = self._saved[partition]
            if place.offset >= saved[-1].offset + SAVE_RECORDS:
                saved.append(place)
                if len(saved) > PLACES_MAX:
                    del saved[1::2]

    def has_passed(self, at: Position) -> bool:
        """Whether the views show the record that stands here."""
        return self._places[Partition(at.channel, at.number)].offset > at.offset

    async def moved(self) -> None:
        """Wait until the views have moved on; raises Unavailable when they will not."""
        if not self.failure:
            await self._moved.wait()
        if self.failure:
            raise Unavailable(f"the views of the channel {self.channel} stand still: {self.failure}")

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
