"""The embedded log: one SQLite file, written by one process, durable on return, read back from memory."""

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import apsw

from bus.backends.admission import check_batch, check_one_channel, check_partitions, check_position
from bus.backends.packing import pack
from bus.backends.sqlite_file import LogFile, locate, lock
from bus.backends.sqlite_writer import Batch, Outcome, Session, Writer
from bus.backends.tail import Tail
from bus.channel import NAMESPACE_DEFAULT, Partition
from bus.errors import AppendUnknown, BusError, LogFull, Refused, Unavailable
from bus.log import Raw, Stored


class SqliteLog:
    """A Log in one file. Open it once for each process; `open` refuses a file that another process holds."""

    def __init__(self, file: LogFile, lock_descriptor: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._file = file
        self._lock_descriptor = lock_descriptor
        self._tails = {partition: Tail(end) for partition, end in file.ends().items()}
        self._readers: set[SqliteReader] = set()
        self._writer = Writer(file, self._loop, self._settle)
        self._file_reads = ThreadPoolExecutor(1, thread_name_prefix=f"read {file.path.name}")
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path | str, *, namespace: str = NAMESPACE_DEFAULT, partitions: int | None = None
    ) -> "SqliteLog":
        """Open the log at a file, or in a directory, and make it if there is none.

        `partitions` is the count for a new log (default 8); a log that has another raises NamespaceMismatch, as does
        one of another namespace. Raises LogLocked while another process has it open, Refused for a file that is no log.
        """
        return cls(*await asyncio.to_thread(_open, locate(path), namespace, partitions))

    @property
    def namespace(self) -> str:
        return self._file.namespace

    @property
    def partitions(self) -> int:
        return self._file.partitions

    async def appender(self) -> "SqliteAppender":
        self.check_open()
        return SqliteAppender(self)

    async def reader(self, positions: Mapping[Partition, int]) -> "SqliteReader":
        self.check_open()
        reader = SqliteReader(self, positions)
        self._readers.add(reader)
        return reader

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        self.check_open()
        check_partitions(partitions := list(partitions), self.partitions)
        return dict.fromkeys(partitions, 0)

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        self.check_open()
        check_partitions(partitions := list(partitions), self.partitions)
        return {partition: self._tails[partition].end for partition in partitions}

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for reader in self._readers:
            reader.wake()
        await self._writer.close()
        await asyncio.to_thread(self._file_reads.shutdown)
        await asyncio.to_thread(self._file.close)
        os.close(self._lock_descriptor)

    def check_open(self) -> None:
        """Raises Unavailable once the log was closed."""
        if self._closed:
            raise Unavailable(f"the log {self._file.path} was closed")

    def submit(self, batch: Batch) -> None:
        """Hand a checked batch to the writer."""
        self._writer.submit(batch)

    def tail(self, partition: Partition) -> Tail:
        """The newest records of a partition."""
        return self._tails[partition]

    async def read_file(self, wanted: Mapping[Partition, int], records_max: int) -> dict[Partition, list[Stored]]:
        """Old records from the given positions on, read in a thread since the disk may be slow."""
        ends = {partition: self._tails[partition].end for partition in wanted}
        return await self._loop.run_in_executor(self._file_reads, self._read_file, dict(wanted), ends, records_max)

    def forget(self, reader: "SqliteReader") -> None:
        """Wake this reader no more."""
        self._readers.discard(reader)

    def _read_file(
        self, wanted: Mapping[Partition, int], ends: Mapping[Partition, int], records_max: int
    ) -> dict[Partition, list[Stored]]:
        found = {}
        for partition, position in wanted.items():
            if records_max <= 0:
                break
            found[partition] = self._file.read(partition, position, ends[partition], records_max)
            records_max -= len(found[partition])
        return found

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Make committed batches readable, then tell who appended, then wake who reads."""
        changed: set[Partition] = set()
        for batches, error in outcomes:
            for batch in batches:
                if error is None:
                    self._publish(batch)
                    changed.add(batch.partition)
                elif not batch.future.done():
                    batch.future.set_exception(_copy(error))
        for reader in self._readers:
            reader.wake_for(changed)

    def _publish(self, batch: Batch) -> None:
        stored = [Stored(offset, *record) for offset, record in enumerate(batch.records, batch.offset)]
        self._tails[batch.partition].extend(stored, len(batch.packed))
        if not batch.future.done():
            batch.future.set_result(batch.offset)


class SqliteAppender:
    """A session: its batches reach the writer in the order of the calls."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._session = Session()
        self._closed = False

    def append(self, partition: Partition, records: Sequence[Raw]) -> "asyncio.Future[int]":
        future: asyncio.Future[int] = self._loop.create_future()
        try:
            self._check(partition, records)
        except BusError as error:
            future.set_exception(error)
        else:
            self._log.submit(Batch(self._session, partition, tuple(records), pack(records), future))
        return future

    async def close(self) -> None:
        self._closed = True

    def _check(self, partition: Partition, records: Sequence[Raw]) -> None:
        check_batch(records)
        self._log.check_open()
        if self._closed:
            raise Unavailable("the appender was closed")
        if self._session.spent:
            raise AppendUnknown("an earlier append of this appender ended unknown") from self._session.spent
        check_partitions((partition,), self._log.partitions)


class SqliteReader:
    """Positions on the tails in memory; what fell out of them is read from the file."""

    def __init__(self, log: SqliteLog, positions: Mapping[Partition, int]) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._positions: dict[Partition, int] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self.seek(positions)

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._check_open()
        check_partitions(positions, self._log.partitions)
        check_one_channel({**self._positions, **positions})
        self._positions.update(positions)
        self.wake()

    def drop(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> dict[Partition, list[Stored]]:
        deadline = self._loop.time() + wait_ms / 1000
        while True:
            self._check_open()
            if found := await self._take(records_max):
                return found
            if (left := deadline - self._loop.time()) <= 0:
                return {}
            await self._wait(left)

    async def close(self) -> None:
        self._closed = True
        self._log.forget(self)
        self.wake()

    def wake(self) -> None:
        """Let a read that waits look again."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def wake_for(self, partitions: set[Partition]) -> None:
        """Wake if one of these is read here."""
        if self._waiter and not partitions.isdisjoint(self._positions):
            self.wake()

    def _check_open(self) -> None:
        self._log.check_open()
        if self._closed:
            raise Unavailable("the reader was closed")

    async def _wait(self, seconds: float) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self.wake)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    async def _take(self, records_max: int) -> dict[Partition, list[Stored]]:
        """What can be read now, oldest from the file first; moves the positions behind it."""
        found: dict[Partition, list[Stored]] = {}
        if old := self._old():
            read = await self._log.read_file(old, records_max)
            # Meanwhile a partition may have been dropped or moved.
            found = {each: records for each, records in read.items() if self._positions.get(each) == old[each]}
            records_max -= sum(len(records) for records in found.values())
        for partition, position in self._positions.items():
            tail = self._log.tail(partition)
            if partition not in found and tail.first <= position < tail.end and records_max > 0:
                found[partition] = tail.records(position, records_max)
                records_max -= len(found[partition])
        for partition, records in found.items():
            # Behind the others from now on, so that a busy partition starves none.
            del self._positions[partition]
            self._positions[partition] = records[-1].offset + 1
        return found

    def _old(self) -> dict[Partition, int]:
        old = {}
        for partition, position in self._positions.items():
            tail = self._log.tail(partition)
            if not tail.first <= position <= tail.end:
                check_position(partition, position, 0, tail.end)
                old[partition] = position
        return old


def _copy(error: BusError) -> BusError:
    # Each future gets an exception of its own, since raising writes into it.
    copied = type(error)(*error.args)
    copied.__cause__ = error.__cause__
    return copied


def _open(path: Path, namespace: str, partitions: int | None) -> tuple[LogFile, int]:
    if partitions is not None and partitions < 1:
        raise Refused(f"a namespace needs at least one partition a channel, not {partitions}")
    with _opening(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = lock(path)
        try:
            return LogFile(path, namespace=namespace, partitions=partitions), descriptor
        except BaseException:
            os.close(descriptor)
            raise


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.NotADBError as error:
        raise Refused(f"{path} is no log of ours: {error}") from error
    except apsw.FullError as error:
        raise LogFull(f"no room for a log at {path}: {error}") from error
    except (OSError, apsw.Error) as error:
        raise Unavailable(f"{path} cannot be opened: {error}") from error
