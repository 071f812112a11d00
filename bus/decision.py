"""Decisions as they stand in a log: the facts of a role, put together again as they were decided."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bus.channel import Partition
from bus.codec import Codec, Peek
from bus.errors import Undecodable, UnknownRecordType
from bus.home_fold import chunks_until
from bus.log import Log, Stored
from bus.reader import START, Admission, Place
from bus.record import Fact


class Said(NamedTuple):
    """One fact with all that a decision makes of it: its id, trace and key, and its bytes."""

    id: str
    fact: Fact
    trace: str
    key: bytes
    value: bytes

    @property
    def type(self) -> str:
        return type(self.fact).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of a role, at the offset of its first fact on its home partition."""

    offset: int
    end: int  # offset behind its last fact
    cause: str  # position, `deadline:…`, or nothing for what the runtime notes by itself
    time_ms: int
    facts: tuple[Said, ...]
    is_whole: bool = True


class UnreadableFact(Exception):
    """A fact that counts stands in the log and today's code cannot read it."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class Decisions:
    """The decisions of one role on one partition, in the order of the log."""

    def __init__(self, log: Log, codec: Codec, role: str, home: Partition, place: Place = START) -> None:
        self._log, self._codec, self._role, self._home = log, codec, role, home
        self._admission = Admission(codec, place)
        self._parts: list[tuple[Stored, Peek]] = []

    @property
    def place(self) -> Place:
        """Behind the last record read."""
        return self._admission.place

    async def until(self, end: int) -> AsyncIterator[list[Decision]]:
        """Those that end up to this offset, by the chunk that was read. Raises UnreadableFact."""
        async for chunk in chunks_until(self._log, self._home, self._admission.offset, end):
            if found := self._gather(chunk):
                yield found

    def _gather(self, chunk: Sequence[Stored]) -> list[Decision]:
        found, role = [], self._role
        for stored, peek, counts in self._admission.admit(chunk):
            if not counts or isinstance(peek, Undecodable) or not _is_fact_of(role, peek):
                continue
            if self._parts and peek.origin.part == 0:
                found.append(self._put_together(is_whole=False))
            self._parts.append((stored, peek))
            if peek.origin.part + 1 == peek.origin.parts:
                found.append(self._put_together(is_whole=len(self._parts) == peek.origin.parts))
        return found

    def _put_together(self, *, is_whole: bool) -> Decision:
        parts, self._parts = self._parts, []
        (first, peek), (last, _) = parts[0], parts[-1]
        return Decision(
            offset=first.offset,
            end=last.offset + 1,
            cause=peek.origin.cause,
            time_ms=first.time_ms,
            facts=tuple([self._read(stored, peek) for stored, peek in parts]),
            is_whole=is_whole,
        )

    def _read(self, stored: Stored, peek: Peek) -> Said:
        try:
            fact = self._codec.decode(stored, peek, self._home).record
        except (Undecodable, UnknownRecordType) as error:
            raise UnreadableFact(stored.offset, str(error)) from error
        return Said(peek.id, fact, peek.trace, stored.key, stored.value)


async def offset_at(log: Log, codec: Codec, role: str, home: Partition, time_ms: int) -> int:
    """The offset at home behind all that a role had said by a time; its own time never goes back."""
    admission, end = Admission(codec), (await log.ends([home]))[home]
    async for chunk in chunks_until(log, home, 0, end):
        for stored, peek, counts in admission.admit(chunk):
            if stored.time_ms > time_ms and counts and _is_fact_of(role, peek):
                return stored.offset
    return end


def _is_fact_of(role: str, peek: Peek | Undecodable) -> bool:
    return isinstance(peek, Peek) and peek.origin.role == role and peek.origin.kind == "fact"
