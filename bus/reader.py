"""Reading with fences: what everybody outside a role uses to follow a channel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from bus.channel import Partition
from bus.codec import Codec, Peek
from bus.errors import Undecodable, UnknownRecordType
from bus.fence import Fence, Fences
from bus.log import GAP, Log, Reader, Stored
from bus.record import Envelope, Record


class Place(NamedTuple):
    """A position in a partition together with the fences there; the only kind of place at which reading may start.

    `Place()` is the start of the partition.
    """

    offset: int = 0
    fences: Mapping[str, Fence] = {}


START = Place()


class Admission:
    """The fences of one partition, moved along its records."""

    def __init__(self, codec: Codec, place: Place = START) -> None:
        self._codec = codec
        self.offset = place.offset
        self.newest: Stored | None = None  # the record before `offset`, once one was read
        self.fences = Fences(dict(place.fences))

    def admit(self, chunk: Iterable[Stored]) -> Iterator[tuple[Stored, Peek | Undecodable, bool]]:
        """Each record with what its headers say, or why they say nothing, and whether it counts."""
        for stored in chunk:
            self.offset, self.newest = stored.offset + 1, stored
            try:
                peek = self._codec.peek(stored)
            except Undecodable as error:
                if tuple(stored.headers) != GAP:
                    yield stored, error, False
                continue
            yield stored, peek, self.fences.admit(peek.origin)

    @property
    def place(self) -> Place:
        return Place(self.offset, dict(self.fences.by_role))


class Refusal(Protocol):
    """Told of a record that counts but cannot be decoded."""

    def __call__(self, partition: Partition, offset: int, error: Exception) -> None: ...


def _raise(partition: Partition, offset: int, error: Exception) -> None:
    raise UnknownRecordType(f"{partition}/{offset}: {error}") from error


class FencedReader:
    """Follows partitions of one channel and hands out the envelopes of the wanted types that count.

    Undecodable asks and reports are left to the role that quarantines them. An undecodable fact or an unknown type
    under a claim is given to `refuse`, which raises unless told otherwise: whoever reads facts must be upgraded
    before those who say them.
    """

    def __init__(
        self, reader: Reader, codec: Codec, wanted: Collection[type[Record]], refuse: Refusal = _raise
    ) -> None:
        self._reader, self._codec, self._refuse = reader, codec, refuse
        self._wanted = {kind.__name__ for kind in wanted}
        self._admissions: dict[Partition, Admission] = {}

    @classmethod
    async def open(
        cls,
        log: Log,
        codec: Codec,
        places: Mapping[Partition, Place],
        wanted: Collection[type[Record]],
        refuse: Refusal = _raise,
    ) -> FencedReader:
        """A reader from these places on; all partitions belong to one channel."""
        reader = await log.reader({partition: place.offset for partition, place in places.items()})
        fenced = cls(reader, codec, wanted, refuse)
        fenced._admissions = {partition: Admission(codec, place) for partition, place in places.items()}
        return fenced

    def add(self, places: Mapping[Partition, Place]) -> None:
        """Follow these partitions too, from these places on."""
        self._admissions |= {partition: Admission(self._codec, place) for partition, place in places.items()}
        self._reader.seek({partition: place.offset for partition, place in places.items()})

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Follow these partitions no more."""
        gone = list(partitions)
        self._reader.drop(gone)
        for partition in gone:
            self._admissions.pop(partition, None)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> list[Envelope]:
        """The next envelopes, in order within each partition; empty after `wait_ms` without any record."""
        chunks = await self._reader.read(records_max=records_max, wait_ms=wait_ms)
        return [envelope for partition, chunk in chunks.items() for envelope in self._envelopes(partition, chunk)]

    def _envelopes(self, partition: Partition, chunk: Iterable[Stored]) -> Iterator[Envelope]:
        admission = self._admissions.get(partition)
        if admission is None:
            return
        for stored, peek, counts in admission.admit(chunk):
            if isinstance(peek, Undecodable) or not counts or peek.type not in self._wanted:
                continue
            try:
                yield self._codec.decode(stored, peek, partition)
            except (Undecodable, UnknownRecordType) as error:
                if peek.origin.kind in ("fact", "claim"):
                    self._refuse(partition, stored.offset, error)

    def places(self) -> dict[Partition, Place]:
        """Where reading would go on, to be saved and given to `open` again."""
        return {partition: admission.place for partition, admission in self._admissions.items()}

    async def close(self) -> None:
        await self._reader.close()
