"""The newest committed records of a partition, in memory: what readers that keep up are served from."""

from collections import deque
from collections.abc import Sequence

from bus.log import Stored

TAIL_BYTES_MAX = 1024 * 1024
"""Most that a partition keeps in memory; older records are read from the file."""

_RECORD_OVERHEAD_BYTES = 300


class Tail:
    """Records from `first` to `end`; the newest commit always fits."""

    __slots__ = ("_bytes", "_chunks", "_records", "end", "first")

    def __init__(self, end: int) -> None:
        self.first = end
        self.end = end
        self._records: list[Stored] = []
        self._chunks: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def extend(self, records: Sequence[Stored], length: int) -> None:
        """Take what was committed at `end`, `length` bytes in all, and forget the oldest that is too much."""
        self._records.extend(records)
        self.end += len(records)
        length += _RECORD_OVERHEAD_BYTES * len(records)
        self._chunks.append((len(records), length))
        self._bytes += length
        if self._bytes > TAIL_BYTES_MAX:
            self._shorten()

    def records(self, position: int, records_max: int) -> list[Stored]:
        """From `position` on, which must not lie before `first`."""
        at = position - self.first
        return self._records[at : at + records_max]

    def _shorten(self) -> None:
        dropped = 0
        while self._bytes > TAIL_BYTES_MAX and len(self._chunks) > 1:
            count, length = self._chunks.popleft()
            dropped += count
            self._bytes -= length
        del self._records[:dropped]
        self.first += dropped
