"""The hash chain over the stored bytes of a partition, in the order of the log, with marks on the way to find places.

Each record has a leaf, the digest of all that is stored of it. The head of the chain after a record is the digest of
the head before it and its leaf, so that no record can be changed, added, removed or moved without changing every head
behind it. After each `BLOCK_RECORDS` the head is kept as a mark, and of each leaf its first bytes as a tag: with these
the place of a change is found again, while heads alone say only that there is one.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

from bus.channel import Partition
from bus.log import Stored

BLOCK_RECORDS = 64
"""Records between two marks."""

TAG_BYTES = 4
"""What is kept of a leaf."""

_LENGTHS = struct.Struct(">qIIH")
_HEADER = struct.Struct(">II")
_ABSENT = 0xFFFFFFFF


def leaf_of(stored: Stored) -> bytes:
    """The digest of a record as it is stored: time, key, value and headers in their order. Its offset is its place."""
    key, value, headers = stored.key, stored.value, stored.headers
    parts = [b"\0", _LENGTHS.pack(stored.time_ms, len(key), len(value), len(headers)), key, value]
    for name, content in headers:
        parts += _header(name, content)
    return hashlib.sha256(b"".join(parts)).digest()


def _header(name: str, content: bytes | None) -> tuple[bytes, bytes, bytes]:
    """A header without content, which only others write, is not one with empty content."""
    encoded = name.encode(errors="surrogateescape")
    length = _ABSENT if content is None else len(content)
    return _HEADER.pack(len(encoded), length), encoded, content or b""


def genesis_of(partition: Partition) -> bytes:
    """The head before the first record."""
    return hashlib.sha256(f"clawx chain 1|{partition}".encode()).digest()


class Chain:
    """The chain of one partition, from its first record to the last one taken in."""

    __slots__ = ("head", "marks", "offset", "partition", "tags")

    def __init__(self, partition: Partition) -> None:
        self.partition, self.head, self.offset = partition, genesis_of(partition), 0
        self.marks: list[bytes] = []
        self.tags = bytearray()

    def extend(self, records: Iterable[Stored]) -> None:
        """Take in the next records."""
        for stored in records:
            self.add(leaf_of(stored))

    def add(self, leaf: bytes) -> None:
        """Take in the leaf of the next record."""
        self.head = hashlib.sha256(b"\1" + self.head + leaf).digest()
        self.tags += leaf[:TAG_BYTES]
        self.offset += 1
        if not self.offset % BLOCK_RECORDS:
            self.marks.append(self.head)

    def heads(self) -> list[bytes]:
        """The marks, and the head behind the last record if none is there."""
        return [*self.marks, self.head] if self.offset % BLOCK_RECORDS else list(self.marks)

    def root(self) -> bytes:
        """The Merkle root of its blocks, each with its tags."""
        return root_of(blocks_of(self.heads(), bytes(self.tags)))


def blocks_of(heads: Sequence[bytes], tags: bytes) -> list[bytes]:
    """What the Merkle tree of a partition is made of: for each block the head behind it and the tags of its records."""
    width = BLOCK_RECORDS * TAG_BYTES
    return [head + tags[number * width : (number + 1) * width] for number, head in enumerate(heads)]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of a Merkle tree; leaves and inner nodes can't be taken for one another, nor one count for another."""
    level = [hashlib.sha256(b"\2" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\3" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return hashlib.sha256(b"\4" + len(leaves).to_bytes(8, "big") + b"".join(level)).digest()
