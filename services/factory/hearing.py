"""What a node hears: its pool's partition, and both partitions of each workspace that it works for.

A partition that is new to it is caught up with first: read from a saved place (else from its start) to the end as
found, with a reader of its own, and only what is still open there is acted on. From there on it is followed live, and
never dropped again: whatever concerns this node session was written after the session joined, so that places saved
before that are early enough. That holds for `accepted_at` of a grant as well, which therefore needs no looking at.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from bus.channel import Partition, partition_number
from bus.codec import Codec
from bus.errors import Retryable
from bus.fence import Fence
from bus.log import Log
from bus.reader import START, FencedReader, Place
from bus.record import Envelope, Record
from services.factory.background import Background
from services.records.budget import TrancheGranted, TrancheRefused
from services.records.instance import InstanceEnded, InstanceStarting, InstanceStopping
from services.records.message import MessageSent
from services.records.node import CapacityGranted, NodeAccepted, NodeLost, NodeRefused
from services.records.task import (
    AttemptCancelled,
    TaskAssigned,
    TaskCompleted,
    TaskFailed,
    TaskLost,
    TasksSettled,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

RECORDS_MAX = 1000
WAIT_MS = 1000
RETRY_MS = 500

LIVE: Mapping[str, tuple[type[Record], ...]] = {
    "event": (
        CapacityGranted,
        InstanceEnded,
        InstanceStarting,
        InstanceStopping,
        NodeAccepted,
        NodeLost,
        NodeRefused,
        TrancheGranted,
        TrancheRefused,
    ),
    "task": (TaskAssigned, AttemptCancelled, MessageSent),
}
CLOSING: Mapping[str, tuple[type[Record], ...]] = {
    "event": (),
    "task": (TaskCompleted, TaskFailed, TaskLost, TasksSettled),
}
"""What must be known besides, while catching up, to tell what is still open."""


class Hearing:
    """Hands every fact that a node may have to act on to `hear`, in order within each partition."""

    def __init__(
        self,
        *,
        log: Log,
        codec: Codec,
        places: Mapping[str, Any],
        hear: Callable[[Envelope], None],
        background: Background,
    ) -> None:
        self._log, self._codec, self._hear, self._background = log, codec, hear, background
        self._saved = {name: restore_place(saved) for name, saved in places.items()}
        self._live: dict[Partition, asyncio.Task[None]] = {}
        self._readers: dict[str, FencedReader] = {}

    async def live(self, key: str, channels: tuple[str, ...] = ("event", "task")) -> None:
        """Return once the partitions of this key are followed live."""
        number = partition_number(key, self._log.partitions)
        for channel in channels:
            partition = Partition(channel, number)
            if partition not in self._live:
                self._live[partition] = self._background.start(self._catch_up(partition))
        for channel in channels:
            await asyncio.shield(self._live[Partition(channel, number)])

    async def _catch_up(self, partition: Partition) -> None:
        place, still_open = await self._insist(partition, self._read_to_end)
        for envelope in still_open:
            self._hear(envelope)
        await self._insist(partition, lambda partition: self._follow_from(partition, place))

    async def _insist(self, partition: Partition, work: Callable[[Partition], Awaitable[T]]) -> T:
        """Try until the log can be read."""
        while True:
            try:
                return await work(partition)
            except Retryable as error:
                logger.warning("%s cannot be read; trying again: %s", partition, error)
            await asyncio.sleep(RETRY_MS / 1000)

    async def _follow_from(self, partition: Partition, place: Place) -> None:
        """Follow it with the one reader of its channel."""
        if partition.channel not in self._readers:
            wanted = LIVE[partition.channel]
            reader = await FencedReader.open(self._log, self._codec, {partition: place}, wanted)
            if partition.channel not in self._readers:
                self._readers[partition.channel] = reader
                self._background.start(self._follow(reader))
                return
            await reader.close()  # another partition was quicker
        self._readers[partition.channel].add({partition: place})

    async def _read_to_end(self, partition: Partition) -> tuple[Place, list[Envelope]]:
        wanted = LIVE[partition.channel] + CLOSING[partition.channel]
        place = self._saved.get(str(partition), START)
        end = (await self._log.ends([partition]))[partition]
        if place.offset > end:
            logger.warning("the saved place of %s is behind the log's end; it is read from its start", partition)
            place = START
        unfinished = Unfinished()
        reader = await FencedReader.open(self._log, self._codec, {partition: place}, wanted)
        try:
            while reader.places()[partition].offset < end:
                for envelope in await reader.read(records_max=RECORDS_MAX, wait_ms=WAIT_MS):
                    unfinished.read(envelope)
            return reader.places()[partition], unfinished.envelopes
        finally:
            await reader.close()

    async def _follow(self, reader: FencedReader) -> None:
        while True:
            try:
                envelopes = await reader.read(records_max=RECORDS_MAX, wait_ms=WAIT_MS)
            except Retryable as error:
                logger.warning("the log cannot be read; trying again: %s", error)
                await asyncio.sleep(RETRY_MS / 1000)
                continue
            for envelope in envelopes:
                if envelope.origin.kind == "fact":
                    self._hear(envelope)

    def save(self) -> dict[str, Any]:
        """The places of all partitions as a journal keeps them, old ones included."""
        places = self._saved | {
            str(partition): place for reader in self._readers.values() for partition, place in reader.places().items()
        }
        return {name: save_place(place) for name, place in places.items()}

    async def close(self) -> None:
        """Let go of the readers."""
        for reader in self._readers.values():
            await reader.close()
        self._readers.clear()


class Unfinished:
    """Of the facts read so far, those that are still to be acted on: the rest was ended by later ones."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Envelope] = {}
        self._others: list[Envelope] = []

    def read(self, envelope: Envelope) -> None:
        """Take the next one into account."""
        record = envelope.record
        if envelope.origin.kind != "fact" and not isinstance(record, TaskCompleted | TaskFailed):
            return
        match record:
            case TaskCompleted() | TaskFailed() | TaskLost() | AttemptCancelled():
                self._open.pop(("attempt", record.attempt_id), None)
            case TasksSettled():
                for attempt_id in record.attempts:
                    self._open.pop(("attempt", attempt_id), None)
            case InstanceEnded():
                self._open.pop(("instance", record.instance_id), None)
            case TaskAssigned():
                self._open[("attempt", record.attempt_id)] = envelope
            case InstanceStarting() | InstanceStopping():
                self._open[("instance", record.instance_id)] = envelope
            case TrancheGranted() | TrancheRefused():
                pass  # whatever is assigned to this session is assigned after this
            case MessageSent():
                pass  # to workers of earlier sessions; what still waits is sent again to the new ones
            case _:
                self._others.append(envelope)

    @property
    def envelopes(self) -> list[Envelope]:
        """In the order of the log."""
        return sorted([*self._open.values(), *self._others], key=lambda each: each.at.offset if each.at else 0)


def save_place(place: Place) -> dict[str, Any]:
    """A place as JSON carries it."""
    return {"offset": place.offset, "fences": {role: list(fence) for role, fence in place.fences.items()}}


def restore_place(saved: Mapping[str, Any]) -> Place:
    """What `save_place` wrote."""
    return Place(saved["offset"], {role: Fence(*fence) for role, fence in saved["fences"].items()})
