"""The Log: a namespace of partitioned, append-only channels. This contract is the specification of every backend.

**Order.** A partition is a dense sequence of offsets from its start; what is stored never changes and never moves.
There is no order between partitions.

**Append.** `append(partition, records)` writes one batch: all its records at adjacent offsets, or none, also when the
process or the machine dies in the middle. It returns at once with a future, so that appends can be pipelined; batches
that one Appender sends to one partition stand in the log in the order of the calls. The future ends with the offset
of the first record once the batch is durable (SQLite: after fsync; Kafka: acknowledged by all in-sync replicas), or
with
  - `RecordTooLarge`, `LogFull`, `Refused`: nothing was or will be written;
  - `AppendUnknown`: it may be written now, later or never. From then on the Appender is spent: every later append on
  it fails with
    `AppendUnknown` too. Close it and take a new one; only reading the log back tells what happened.
An empty batch is a `ValueError`. `RECORD_BYTES_MAX` and `BATCH_BYTES_MAX` count `size(record)`.

**Read.** A Reader holds a position for each of its partitions and hands out what is stored from there on, in offset
order, each record once. `read()` waits without polling delay: it returns as soon as at least one record can be read,
and empty-handed only after `wait_ms`. What an append acknowledged can be read at once by every reader; what is not
durable is never handed out. Readers are independent of one another, of appenders and of group membership; a reader
may start at any offset from `starts()` to `ends()`, also in a process that did not write the log. A position below
the start or above the end makes `read()` raise `OffsetOutOfRange`.

**Ends.** `ends()` gives for each partition the offset that its next record will get, as of some moment after the call
began.

All calls of one Log come from one event loop. After `close()` every call raises `Unavailable`.
"""

from asyncio import Future
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from bus.channel import Partition

RECORD_BYTES_MAX = 128 * 1024
"""Largest record; bigger payloads go to the blob store."""

BATCH_BYTES_MAX = 768 * 1024
"""Largest batch; stays under Kafka's default `max.message.bytes` with room for its framing."""

Headers = Sequence[tuple[str, bytes]]


class Raw(NamedTuple):
    """A record as bytes, to be appended. `time_ms` is Unix time in milliseconds, as the writer says."""

    key: bytes
    value: bytes
    headers: Headers
    time_ms: int


class Stored(NamedTuple):
    """A record as bytes, as it stands in a partition."""

    offset: int
    key: bytes
    value: bytes
    headers: Headers
    time_ms: int


GAP: Headers = (("clawx_gap", b""),)
"""The only header of what stands for an offset that holds no record of anybody: the mark at the end of a stranger's
transaction, or what a compaction took. Readers pass over it."""


def gap_at(offset: int) -> Stored:
    """What a reader hands out for an offset that holds no record, so that a partition is dense for whoever counts."""
    return Stored(offset, b"", b"", GAP, 0)


def size(record: Raw) -> int:
    """Bytes that count against the limits: key, value, headers and a fixed 64 for framing."""
    total = 64 + len(record.key) + len(record.value)
    for (
        name,
        value,
    ) in record.headers:  # a plain loop: twice as fast as sum() over a generator, on the path of every record
        total += len(name) + len(value) + 4
    return total


class Appender(Protocol):
    """A producer session: keeps its batches in order on each partition."""

    def append(self, partition: Partition, records: Sequence[Raw]) -> "Future[int]":
        """Write one atomic batch; see the module's contract for what the future ends with."""
        ...

    async def close(self) -> None:
        """Let go of the session; batches in flight end as they end. Never raises."""
        ...


class Reader(Protocol):
    """Positions on some partitions, and what is stored from there."""

    def seek(self, positions: Mapping[Partition, int]) -> None:
        """Add these partitions, or move them, to the given offsets."""
        ...

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget these partitions; nothing more is handed out for them, not even by a read under way."""
        ...

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> Mapping[Partition, Sequence[Stored]]:
        """What is stored from the positions on, at most about `records_max` in all; empty after `wait_ms` without any.

        Moves the positions behind what it returns. One call at a time; cancelling it loses nothing.
        """
        ...

    async def close(self) -> None: ...


class Log(Protocol):
    """A namespace of channels on some medium."""

    @property
    def namespace(self) -> str: ...

    @property
    def partitions(self) -> int:
        """Partitions of each channel; fixed when the namespace was made."""
        ...

    async def appender(self) -> Appender:
        """A new producer session."""
        ...

    async def reader(self, positions: Mapping[Partition, int]) -> Reader:
        """A new independent reader; all its partitions belong to one channel."""
        ...

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Offset of the first record kept, for each partition."""
        ...

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Offset of the next record, for each partition."""
        ...

    async def close(self) -> None: ...
