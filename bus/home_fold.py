"""The fold of a role's home partition: how a new owner, or whoever looks at a log, comes to its state."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from bus.channel import Partition, Position
from bus.codec import Codec, Peek, packed_of
from bus.decider import Role
from bus.errors import Fatal, Undecodable
from bus.feed import CHUNK_RECORDS_MAX
from bus.ledger import Ledger
from bus.log import Log, Stored
from bus.reader import Admission
from bus.record import Heard, InputQuarantined
from bus.snapshot import Snapshots, witness_of

logger = logging.getLogger(__name__)


def said_by(role: str, chunk: Iterable[Stored]) -> Iterator[Stored]:
    """What a role may have said. Where no other fence counts, looking for the name alone is ten times faster than
    reading all headers; two thirds of a home are others' records."""
    name = f"|{role}|".encode()
    return (stored for stored in chunk if name in packed_of(stored))


class HomeFold:
    """The fold of a role's own admitted facts on its home partition, with the fences found on the way."""

    def __init__(self, role: Role[Any], home: Partition, codec: Codec, partitions: int) -> None:
        self.role, self.home, self._codec = role, home, codec
        self.state = role.initial()
        self.ledger = Ledger(partitions)
        self.started_at = 0  # the offset of the snapshot that it began with
        self.records = 0  # own facts folded, not counting those that a snapshot held
        self._admission = Admission(codec)

    async def start(self, log: Log, snapshots: Snapshots) -> None:
        """Begin at the newest snapshot that belongs to this log; without one, at the start."""
        end = (await log.ends([self.home]))[self.home]
        for snapshot in snapshots.load(self.role, self.home):
            offset = snapshot.place.offset
            if 0 < offset <= end and await self._witness(log, offset - 1) == snapshot.witness:
                self.started_at = offset
                self.state, self._admission = snapshot.state, Admission(self._codec, snapshot.place)
                self.ledger = Ledger.restored(log.partitions, snapshot.ledger)
                return
            logger.warning("a snapshot of %s at %s/%d is of another log", self.role.name, self.home, offset)

    async def _witness(self, log: Log, offset: int) -> str:
        async for chunk in chunks_until(log, self.home, offset, offset + 1):
            return witness_of(chunk[0])
        return ""

    @property
    def epoch(self) -> int:
        fence = self._admission.fences.by_role.get(self.role.name)
        return fence.epoch if fence else 0

    @property
    def session(self) -> str:
        fence = self._admission.fences.by_role.get(self.role.name)
        return fence.session if fence else ""

    async def read(self, log: Log, end: int) -> None:
        """Fold on, up to but not including this offset."""
        async for chunk in chunks_until(log, self.home, self._admission.offset, end):
            for stored, peek, counts in self._admission.admit(said_by(self.role.name, chunk)):
                if counts and isinstance(peek, Peek) and peek.origin.role == self.role.name:
                    self._fold(stored, peek)
            self._admission.offset = chunk[-1].offset + 1

    def _fold(self, stored: Stored, peek: Peek) -> None:
        if peek.origin.kind != "fact":
            return
        try:
            fact = self._codec.decode(stored, peek, self.home).record
        except Undecodable as error:
            raise Fatal(f"{self.role.name} cannot read its own fact at {self.home}/{stored.offset}: {error}") from error
        self.records += 1
        self.ledger.time_ms = max(self.ledger.time_ms, stored.time_ms)
        self.ledger.note_cause(peek.origin.cause)
        self.ledger.note(fact, peek.id, Position(*self.home, stored.offset), peek.trace)
        if not isinstance(fact, Heard | InputQuarantined):
            self.state = self.role.evolve(self.state, fact, stored.time_ms)


async def chunks_until(log: Log, partition: Partition, start: int, end: int) -> AsyncIterator[list[Stored]]:
    """The records of a partition from `start` up to but not including `end`, in chunks."""
    if start >= end:
        return
    reader = await log.reader({partition: start})
    try:
        while start < end:
            chunk = (await reader.read(records_max=CHUNK_RECORDS_MAX)).get(partition, ())
            wanted = [stored for stored in chunk if stored.offset < end]
            if wanted:
                start = wanted[-1].offset + 1
                yield wanted
    finally:
        await reader.close()
