"""The one thread that writes the SQLite log: all that is queued becomes one transaction, told once durable."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

import apsw

from bus.backends.sqlite_file import LogFile
from bus.channel import Partition
from bus.errors import AppendUnknown, BusError, LogFull
from bus.log import Raw

_logger = logging.getLogger(__name__)

T = TypeVar("T")
E = TypeVar("E", bound=BusError)

COMMIT_BYTES_MAX = 8 * 1024 * 1024
"""Most packed bytes of one transaction, so that a flood is felt as several commits and not as one long one."""

ROW_BYTES_MAX = 256 * 1024
"""From this size on a row takes no further batch."""

CHECKPOINT_PAGES = 1000
"""Pages of write-ahead log after which they are folded into the file, between two commits."""


_INSERT = "INSERT INTO records VALUES (?, ?, ?)"


class Session:
    """What the batches of one Appender share: once spent, none of its later batches is written."""

    __slots__ = ("spent",)

    def __init__(self) -> None:
        self.spent: AppendUnknown | None = None


class Batch:
    """One append on its way into the file."""

    __slots__ = ("future", "offset", "packed", "partition", "records", "session")

    def __init__(
        self,
        session: Session,
        partition: Partition,
        records: tuple[Raw, ...],
        packed: bytes,
        future: "asyncio.Future[int]",
    ) -> None:
        self.session = session
        self.partition = partition
        self.records = records
        self.packed = packed
        self.future = future
        self.offset = 0


Outcome = tuple[list[Batch], BusError | None]


class Writer:
    """Takes batches on the event loop and hands them back there, committed or with their error."""

    def __init__(
        self, file: LogFile, loop: asyncio.AbstractEventLoop, settle: Callable[[Sequence[Outcome]], None]
    ) -> None:
        self._file = file
        self._loop = loop
        self._settle = settle
        self._ends = file.ends()
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._ended = loop.create_future()
        self._wal_pages = 0
        self._wal_pages_folded = 0
        file.writing.set_wal_hook(self._count_pages)
        # A daemon, so that a program that dies without closing its log can exit.
        self._thread = threading.Thread(target=self._run, name=f"log {file.path.name}", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> None:
        """Queue a batch behind all that were queued before."""
        self._queue.put(batch)

    async def close(self) -> None:
        """Commit what is queued and end the thread."""
        self._queue.put(None)
        await asyncio.shield(self._ended)

    def _run(self) -> None:
        while batches := self._take():
            self._tell(self._settle, self._write(batches))
            self._fold_when_due()
        self._tell(self._ended.set_result, None)

    def _take(self) -> list[Batch]:
        """Wait for a batch and take all that are queued behind it; nothing when the log closes."""
        taken: list[Batch] = []
        length = 0
        while (batch := self._queue.get()) is not None:
            taken.append(batch)
            length += len(batch.packed)
            if length >= COMMIT_BYTES_MAX or self._queue.empty():
                break
        else:
            self._queue.put(None)
        return taken

    def _write(self, batches: list[Batch]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        if spent := [batch for batch in batches if batch.session.spent]:
            outcomes += [([batch], batch.session.spent) for batch in spent]
            batches = [batch for batch in batches if not batch.session.spent]
        if batches:
            outcomes.append((batches, self._commit(batches)))
        return outcomes

    def _commit(self, batches: list[Batch]) -> BusError | None:
        rows, ends = self._rows(batches)
        try:
            # One statement is one transaction, and lets go of the interpreter lock once instead of once a row.
            self._file.writing.execute(_INSERT + ", (?, ?, ?)" * (len(rows) // 3 - 1), rows)
        except apsw.FullError as full:
            return _caused(LogFull(f"no room left for {self._file.path}; nothing was written"), full)
        except Exception as failure:  # noqa: BLE001 -- whatever it is, whoever waits for these batches hears of it
            unknown = _caused(AppendUnknown(f"writing {self._file.path} failed: {failure!r}"), failure)
            for batch in batches:
                batch.session.spent = unknown
            return unknown
        self._ends |= ends
        return None

    def _rows(self, batches: list[Batch]) -> tuple[list[object], dict[Partition, int]]:
        """Values of the rows that hold the batches, and the partitions' ends once they are in; sets offsets."""
        ends: dict[Partition, int] = {}
        open_rows: dict[Partition, list[Batch]] = {}
        rows: list[object] = []
        lengths: dict[Partition, int] = {}
        for batch in batches:
            partition = batch.partition
            batch.offset = ends.get(partition, self._ends[partition])
            ends[partition] = batch.offset + len(batch.records)
            open_rows.setdefault(partition, []).append(batch)
            lengths[partition] = length = lengths.get(partition, 0) + len(batch.packed)
            if length >= ROW_BYTES_MAX:
                rows += self._row(open_rows.pop(partition))
                del lengths[partition]
        for left in open_rows.values():
            rows += self._row(left)
        return rows, ends

    def _row(self, batches: list[Batch]) -> tuple[int, int, bytes]:
        packed = batches[0].packed if len(batches) == 1 else b"".join([batch.packed for batch in batches])
        row_id = self._file.row_id(batches[0].partition, batches[0].offset)
        return row_id, sum([len(batch.records) for batch in batches]), packed

    def _tell(self, callback: Callable[[T], object], argument: T) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:
            _logger.warning("%s: the event loop closed before its log", self._file.path)

    def _count_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        if pages < self._wal_pages:
            self._wal_pages_folded = 0
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _fold_when_due(self) -> None:
        if self._wal_pages - self._wal_pages_folded < CHECKPOINT_PAGES:
            return
        self._wal_pages_folded = self._wal_pages
        try:
            self._file.writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.FullError, apsw.IOError, apsw.BusyError) as error:
            _logger.warning("%s: the write-ahead log stays as it is for now: %s", self._file.path, error)


def _caused(error: E, cause: BaseException) -> E:
    error.__cause__ = cause
    return error
