"""The file below the SQLite log: its lock, its tables, and reading old records from it."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

import apsw

from bus.backends.packing import unpack
from bus.channel import CHANNELS, PARTITIONS_DEFAULT, Partition
from bus.errors import LogLocked, NamespaceMismatch, Refused
from bus.log import Stored

FORMAT = 1
"""Version of the tables and of the packing of records."""

FILE_NAME = "log.sqlite"
"""Name of the file when a directory is given."""

READ_BYTES_MAX = 4 * 1024 * 1024
"""Most packed bytes that one read takes from the file."""

BUSY_MS_MAX = 5_000
"""How long a view waits while the owner of the file, or whoever comes after its crash, holds all of it."""

# A row holds adjacent records of one partition. Its id is the partition's id, shifted, plus the offset of the first
# record, so that the rows of a partition lie together and in order.
_OFFSET_BITS = 40
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, number INTEGER NOT NULL, UNIQUE (channel, number)
) STRICT;
CREATE TABLE records (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, packed BLOB NOT NULL) STRICT;
"""
# The writer folds the write-ahead log itself, after it has told of a commit and not before.
_SETTINGS = {"journal_mode": "wal", "synchronous": "full", "fullfsync": True, "wal_autocheckpoint": 0}
_READ = """
SELECT id, count, packed FROM records
WHERE id BETWEEN ifnull((SELECT max(id) FROM records WHERE id BETWEEN :first AND :position), :position) AND :last
ORDER BY id
"""


def locate(path: Path | str) -> Path:
    """The file that a path means: itself, or FILE_NAME in it when it is a directory or has no suffix."""
    path = Path(path)
    return path / FILE_NAME if path.is_dir() or not path.suffix else path


def lock(path: Path) -> int:
    """Become the one process that owns the log; the descriptor holds the lock until it is closed."""
    descriptor = os.open(path.with_name(path.name + "-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise LogLocked(f"{path} is in use by process {owner}; reach its gateway with --server URL") from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


class StoredRows:
    """What stands in the file, over a connection that never writes."""

    def __init__(self, path: Path, reading: apsw.Connection, *, namespace: str, partitions: int | None) -> None:
        self.path, self.namespace, self.reading = path, namespace, reading
        meta = dict(reading.execute("SELECT key, value FROM meta"))
        self.partitions = _check(path, meta, {"format": FORMAT, "namespace": namespace, "partitions": partitions})
        rows = reading.execute("SELECT id, channel, number FROM partitions ORDER BY id")
        self._ids: dict[Partition, int] = {Partition(channel, number): id_ for id_, channel, number in rows}

    def row_id(self, partition: Partition, offset: int) -> int:
        """Primary key of the row that begins with this record."""
        return self._ids[partition] << _OFFSET_BITS | offset

    def ends(self) -> dict[Partition, int]:
        """Offset of the next record of every partition, as committed."""
        return {partition: self._end(partition) for partition in self._ids}

    def read(self, partition: Partition, position: int, end: int, records_max: int) -> list[Stored]:
        """Records from `position` to before `end`: at least one, at most about `records_max` and READ_BYTES_MAX."""
        first, wanted = self.row_id(partition, 0), min(records_max, end - position)
        bounds = {"first": first, "position": first + position, "last": first + end - 1}
        found: list[Stored] = []
        length = 0
        for row, _, packed in self.reading.execute(_READ, bounds):
            found += unpack(packed, row - first, position + len(found), wanted - len(found))
            length += len(packed)
            if len(found) >= wanted or length >= READ_BYTES_MAX:
                break
        return found

    def close(self) -> None:
        self.reading.close()

    def _end(self, partition: Partition) -> int:
        first = self.row_id(partition, 0)
        newest = "SELECT id, count FROM records WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
        for row, count in self.reading.execute(newest, (first, self.row_id(partition, (1 << _OFFSET_BITS) - 1))):
            return int(row - first + count)
        return 0


class LogFile(StoredRows):
    """Two connections to the file: one that writes and checkpoints, one that reads. Whoever calls holds the lock."""

    def __init__(self, path: Path, *, namespace: str, partitions: int | None) -> None:
        self.writing = apsw.Connection(str(path))
        try:
            check_ours(path, self.writing)
            _set(self.writing)
            self._prepare(path, namespace, partitions)
            reading = apsw.Connection(str(path))
            _set(reading)
            reading.pragma("query_only", True)
            super().__init__(path, reading, namespace=namespace, partitions=partitions)
        except BaseException:
            self.writing.close()
            raise

    def close(self) -> None:
        """Close both connections; SQLite then folds its write-ahead log into the file."""
        super().close()
        self.writing.close()

    def _prepare(self, path: Path, namespace: str, partitions: int | None) -> None:
        with self.writing:
            if not list(self.writing.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'")):
                self.writing.execute(_TABLES)
                made = {"format": FORMAT, "namespace": namespace, "partitions": partitions or PARTITIONS_DEFAULT}
                self.writing.executemany("INSERT INTO meta VALUES (?, ?)", made.items())
            meta = dict(self.writing.execute("SELECT key, value FROM meta"))
            count = _check(path, meta, {"format": FORMAT, "namespace": namespace, "partitions": partitions})
            every = [(channel, number) for channel in CHANNELS for number in range(count)]
            self.writing.executemany("INSERT OR IGNORE INTO partitions (channel, number) VALUES (?, ?)", every)


def view(path: Path, *, namespace: str, partitions: int | None) -> StoredRows:
    """Look at a log, also while its owner writes: this connection can neither write nor fold the write-ahead log."""
    reading = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        check_ours(path, reading)
        reading.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        reading.set_busy_timeout(BUSY_MS_MAX)
        return StoredRows(path, reading, namespace=namespace, partitions=partitions)
    except BaseException:
        reading.close()
        raise


def check_ours(path: Path, connection: apsw.Connection) -> None:
    """Raises Refused for a database that holds something else."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and not {"meta", "partitions", "records"} <= tables:
        raise Refused(f"{path} is no log of ours: it holds {', '.join(sorted(tables))}")


def _set(connection: apsw.Connection) -> None:
    for name, value in _SETTINGS.items():
        connection.pragma(name, value)


def _check(path: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> int:
    for key, value in wanted.items():
        if value is not None and found.get(key) != value:
            raise NamespaceMismatch(f"{path} was made with {key} {found.get(key)!r}, not {value!r}")
    return int(str(found["partitions"]))
