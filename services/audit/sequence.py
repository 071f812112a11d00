"""Follows every record of a channel and tells what does not count, and why: gaps, zombies, what nobody can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bus.channel import Partition
from bus.codec import Codec
from bus.errors import Undecodable
from bus.fence import Fence
from bus.log import Stored
from bus.reader import Admission
from bus.record import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A record that does not count: where it stands and why."""

    partition: Partition
    offset: int
    kind: str  # gap, superseded, claim, undecodable
    reason: str


class Sequence:
    """The fences of one partition, and a count of what was seen there."""

    def __init__(self, partition: Partition, codec: Codec) -> None:
        self.partition = partition
        self.counts: Counter[str] = Counter()  # by kind of record; `ignored` for what does not count
        self._admission = Admission(codec)

    @property
    def offset(self) -> int:
        """Where checking goes on."""
        return self._admission.offset

    def check(self, chunk: Iterable[Stored]) -> Iterator[Finding]:
        """Take records in, in order; gives those that do not count, of a gap only the first."""
        for stored in chunk:
            fences = dict(self._admission.fences.by_role)
            ((_, peek, counts),) = self._admission.admit((stored,))
            if isinstance(peek, Undecodable):
                self.counts["undecodable"] += 1
                yield self._find(stored, "undecodable", str(peek))
                continue
            self.counts[peek.origin.kind if counts else "ignored"] += 1
            if not counts:
                fence = fences.get(peek.origin.role, Fence())
                if finding := self._explain(stored, peek.origin, fence):
                    yield finding

    def _explain(self, stored: Stored, origin: Origin, fence: Fence) -> Finding | None:
        if origin.kind == "claim":
            said = f"{origin.role} was claimed with epoch {origin.epoch}, the next one was {fence.epoch + 1}"
            return self._find(stored, "claim", said)
        if (origin.session, origin.epoch) != (fence.session, fence.epoch):
            said = f"{origin.role} of session {origin.session}, which no longer owned it, said number {origin.seq}"
            return self._find(stored, "superseded", said)
        if fence.gap:
            return None
        said = f"{origin.role} said number {origin.seq} where {fence.seq} was next: a batch before it is missing"
        return self._find(stored, "gap", said)

    def _find(self, stored: Stored, kind: str, reason: str) -> Finding:
        return Finding(partition=self.partition, offset=stored.offset, kind=kind, reason=reason)
