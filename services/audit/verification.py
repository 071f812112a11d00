"""A log held against an anchor: what was changed, removed, added, moved or cut off since, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from bus.channel import Partition
from bus.home_fold import chunks_until
from bus.log import Log, Stored
from services.audit.chain import BLOCK_RECORDS, TAG_BYTES, Chain, leaf_of
from services.audit.checkpoint import Anchor

WINDOW_RECORDS = 256
"""How far around a change is looked for the records that were there, and for those that should be."""

ALIKE_RECORDS = 3
"""So many adjacent records that are as they should be tell that the rest of the partition is in place again."""

Tags = list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """The first place of a partition at which a log is not what its anchor says."""

    partition: Partition
    offset: int  # of the first record that is not as it was
    kind: str  # modified, deleted, inserted, reordered, truncated or changed
    records: int  # how many were, as far as that can be told
    reason: str


class PartitionCheck:
    """Follows one partition as far as its anchor reaches."""

    def __init__(self, anchor: Anchor, partition: Partition) -> None:
        self.partition = partition
        self.end = anchor.checkpoint.heads[partition].offset
        self._head = anchor.checkpoint.heads[partition].chain
        self._heads, tags = anchor.heads[partition], anchor.tags[partition]
        self._expected = [tags[at : at + TAG_BYTES] for at in range(0, len(tags), TAG_BYTES)]
        self._chain = Chain(partition)
        self._found: Tags = []  # from the first record that differs on
        self._parting = -1
        self._is_hidden = False  # within a block of which all tags are right

    @property
    def is_decided(self) -> bool:
        """Whether what follows can change nothing any more."""
        if self._parting < 0:
            return self._chain.offset >= self.end
        return self._is_hidden or len(self._found) >= WINDOW_RECORDS

    def take(self, records: Iterable[Stored]) -> None:
        """Look at the next records; what lies behind the end is looked at only to tell what was added."""
        for stored in records:
            if self.is_decided:
                return
            self._take(leaf_of(stored))

    def _take(self, leaf: bytes) -> None:
        tag, offset = leaf[:TAG_BYTES], self._chain.offset
        if self._parting < 0 and tag != self._expected[offset]:
            self._parting = offset
        if self._parting >= 0:
            self._found.append(tag)
            return
        self._chain.add(leaf)
        is_mark = not self._chain.offset % BLOCK_RECORDS or self._chain.offset == self.end
        if is_mark and self._chain.head != self._heads[offset // BLOCK_RECORDS]:
            self._is_hidden, self._parting = True, offset // BLOCK_RECORDS * BLOCK_RECORDS

    def result(self) -> Tampering | None:
        """What was found, once no more records come."""
        if self._parting < 0:
            if self._chain.offset < self.end:
                return self._tell("truncated", self._chain.offset, self.end - self._chain.offset)
            return None
        if self._is_hidden:
            return self._tell("changed", self._parting, min(BLOCK_RECORDS, self.end - self._parting))
        kind, records = explain(self._expected[self._parting : self._parting + WINDOW_RECORDS], self._found)
        return self._tell(kind, self._parting, records)

    def _tell(self, kind: str, offset: int, records: int) -> Tampering:
        return Tampering(
            partition=self.partition,
            offset=offset,
            kind=kind,
            records=records,
            reason=_REASONS[kind].format(at=f"{self.partition}/{offset}", records=records, end=self.end),
        )


_REASONS = {
    "modified": "{records} records from {at} on are not those that were signed",
    "deleted": "{records} records from {at} on are missing, and what followed stands there now",
    "inserted": "{records} records from {at} on were not there when it was signed",
    "reordered": "{records} records from {at} on stand in another order",
    "truncated": "the log ends before {at}, and {end} records were signed",
    "changed": "from {at} on the log is not the one that was signed",
}


def explain(expected: Tags, found: Tags) -> tuple[str, int]:
    """What makes the found records of the expected ones, and of how many; their first ones differ.

    Both begin at the change. Records that are all there, only elsewhere, were reordered; otherwise the least that
    explains what is found is said.
    """
    if size := _find_reordered(expected, found):
        return "reordered", size
    for size in range(1, WINDOW_RECORDS):
        for kind, old, new in (("modified", size, size), ("deleted", size, 0), ("inserted", 0, size)):
            if old <= len(expected) and new <= len(found) and _is_alike(expected[old:], found[new:]):
                return kind, size
    return "changed", max(len(expected), len(found))


def _find_reordered(expected: Tags, found: Tags) -> int:
    """How many records from the first on are the same ones in another order; 0 if they are not."""
    owed: Counter[bytes] = Counter()
    for size, (old, new) in enumerate(zip(expected, found, strict=False), 1):
        for tag, change in ((old, 1), (new, -1)):
            owed[tag] += change
            if not owed[tag]:
                del owed[tag]
        if not owed and _is_alike(expected[size:], found[size:]):
            return size
    return 0


def _is_alike(expected: Tags, found: Tags) -> bool:
    """Whether the records go on as they should, as far as can be seen."""
    length = min(len(expected), len(found), ALIKE_RECORDS)
    if length < ALIKE_RECORDS and len(found) < len(expected):
        return False  # what is not there can't be alike
    return expected[:length] == found[:length]


async def verify_log(log: Log, anchor: Anchor) -> AsyncIterator[Tampering]:
    """The first change on each partition since the anchor was made; what was appended since is nobody's concern."""
    for partition in anchor.checkpoint.heads:
        if found := await _verify_partition(log, anchor, partition):
            yield found


async def _verify_partition(log: Log, anchor: Anchor, partition: Partition) -> Tampering | None:
    check = PartitionCheck(anchor, partition)
    start, end = (await log.starts([partition]))[partition], (await log.ends([partition]))[partition]
    if start:
        reason = f"the log begins at {partition}/{start}; whatever came before it is in an archive or lost"
        return Tampering(partition=partition, offset=0, kind="truncated", records=start, reason=reason)
    async for chunk in chunks_until(log, partition, 0, end):
        check.take(chunk)
        if check.is_decided:
            break
    return check.result()
