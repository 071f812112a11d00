"""What only the SQLite log promises: one process, one file, and what happens when the disk fails."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest
import pytest_asyncio

from bus.backends.sqlite import SqliteLog
from bus.backends.tail import TAIL_BYTES_MAX
from bus.errors import AppendUnknown, LogFull, LogLocked, NamespaceMismatch, Refused, Unavailable
from bus.log import Raw
from tests.conformance.faulty_disk import FaultyDisk, faulty_disk
from tests.conformance.records import P0, P1, append, batch, read_all, take, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with faulty_disk() as disk:
        yield disk


@pytest_asyncio.fixture
async def failing_log(disk: FaultyDisk, path: Path) -> AsyncIterator[SqliteLog]:
    """A log on the faulty disk."""
    log = await SqliteLog.open(path)
    yield log
    disk.writing = disk.syncing = None
    await log.close()


async def test_a_second_opening_is_refused_with_a_way_out_until_the_first_is_closed(path: Path) -> None:
    log = await SqliteLog.open(path)
    with pytest.raises(LogLocked, match=r"^\S+ is in use by process \d+; reach its gateway with --server URL$"):
        await SqliteLog.open(path)
    assert await append(log, P0, "a") == 0
    await log.close()
    log = await SqliteLog.open(path)
    assert values(await read_all(log, P0)) == ["a"]
    await log.close()


OPENING = """
import asyncio, sys
from bus.backends.sqlite import SqliteLog
asyncio.run(SqliteLog.open(sys.argv[1]))
"""


async def test_a_second_process_is_refused(path: Path) -> None:
    log = await SqliteLog.open(path)
    command = [sys.executable, "-c", OPENING, str(path)]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert LogLocked.__name__ in ended.stderr
    await log.close()


def test_a_program_that_forgets_to_close_its_log_ends_and_frees_it(path: Path) -> None:
    command = [sys.executable, "-c", OPENING, str(path)]
    for _ in range(2):
        subprocess.run(command, check=True, timeout=120)


@pytest.mark.parametrize("place", ["", "a/new/directory", "file.db"])
async def test_a_directory_gets_a_file_and_a_file_is_taken_as_named(tmp_path: Path, place: str) -> None:
    log = await SqliteLog.open(tmp_path / place)
    await log.close()
    expected = tmp_path / place if place.endswith(".db") else tmp_path / place / "log.sqlite"
    assert expected.is_file()


async def test_another_namespace_is_a_mismatch(path: Path) -> None:
    await (await SqliteLog.open(path, namespace="first")).close()
    with pytest.raises(NamespaceMismatch, match="namespace 'first', not 'second'"):
        await SqliteLog.open(path, namespace="second")


def test_a_file_of_something_else_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"important notes\n" * 1000)
    with pytest.raises(Refused, match="no log"):
        asyncio.run(SqliteLog.open(path))
    assert path.read_bytes() == b"important notes\n" * 1000


def test_a_database_of_something_else_is_refused_and_left_as_it_is(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE important (notes)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(Refused, match="no log"):
        asyncio.run(SqliteLog.open(path))
    assert path.read_bytes() == before


async def test_a_place_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be opened"):
        await SqliteLog.open(tmp_path / "file" / "log.sqlite")


def test_no_partitions_are_refused(path: Path) -> None:
    with pytest.raises(Refused, match="at least one"):
        asyncio.run(SqliteLog.open(path, partitions=0))
    assert not path.exists()


async def test_a_full_disk_refuses_whole_batches_and_is_well_again_with_room(
    disk: FaultyDisk, failing_log: SqliteLog
) -> None:
    appender = await failing_log.appender()
    assert await appender.append(P0, batch("before")) == 0
    disk.writing = apsw.FullError("disk full")
    refused = [appender.append(P0, batch("lost", number)) for number in range(10)]
    for ended in await asyncio.gather(*refused, return_exceptions=True):
        assert isinstance(ended, LogFull)
    assert (await failing_log.ends([P0]))[P0] == 1
    disk.writing = None
    assert await appender.append(P0, batch("after")) == 1
    assert values(await read_all(failing_log, P0)) == ["before", "after"]


async def test_a_file_that_may_not_grow_is_full(path: Path) -> None:
    """The same from SQLite itself, without our hand in its files."""
    log = await SqliteLog.open(path)
    appender = await log.appender()
    pages = log._file.writing.pragma("page_count")
    log._file.writing.pragma("max_page_count", pages + 10)
    large = [Raw(b"", b"x" * 10_000, (), 0)]
    ends = [await ended(appender.append(P0, large)) for _ in range(20)]
    written = len([each for each in ends if isinstance(each, int)])
    assert 0 < written <= 10
    assert all(isinstance(each, LogFull) for each in ends[written:])
    log._file.writing.pragma("max_page_count", 1_000_000)
    assert await appender.append(P0, large) == written
    await log.close()
    log = await SqliteLog.open(path)
    assert (await log.ends([P0]))[P0] == written + 1
    await log.close()


async def ended(future: "asyncio.Future[int]") -> int | BaseException:
    return (await asyncio.gather(future, return_exceptions=True))[0]


async def test_when_a_commit_fails_its_batches_are_unknown_and_the_appender_is_spent(
    disk: FaultyDisk, failing_log: SqliteLog
) -> None:
    spent, other = await failing_log.appender(), await failing_log.appender()
    await spent.append(P0, batch("before"))
    disk.syncing = apsw.IOError("fsync failed")
    unknown = spent.append(P0, batch("unknown"))
    with pytest.raises(AppendUnknown, match="fsync failed"):
        await unknown
    disk.syncing = None
    for _ in range(2):
        with pytest.raises(AppendUnknown):
            await spent.append(P1, batch("never"))
    assert await other.append(P0, batch("after")) >= 1
    assert (await failing_log.ends([P1]))[P1] == 0
    stored = values(await read_all(failing_log, P0))
    assert [each for each in stored if each != "unknown"] == ["before", "after"]


async def test_what_is_not_durable_is_never_handed_out(disk: FaultyDisk, failing_log: SqliteLog) -> None:
    reader, appender = await failing_log.reader({P0: 0}), await failing_log.appender()
    disk.syncing = apsw.IOError("fsync failed")
    waiting = asyncio.create_task(reader.read(wait_ms=200))
    with pytest.raises(AppendUnknown):
        await appender.append(P0, batch("unknown"))
    assert await waiting == {}
    assert (await failing_log.ends([P0]))[P0] == 0


async def test_what_fell_out_of_memory_is_read_from_the_file(path: Path) -> None:
    """A reader stands before, in and behind the tail, and each time it moves on into the next."""
    log = await SqliteLog.open(path)
    appender = await log.appender()
    count = 4 * TAIL_BYTES_MAX // 10_000
    await asyncio.gather(*(appender.append(P0, [Raw(b"", b"%d" % n + b"." * 10_000, (), n)]) for n in range(count)))
    assert 0 < log.tail(P0).first < log.tail(P0).end == count
    for position in (0, log.tail(P0).first - 1, log.tail(P0).first, count - 1):
        reader = await log.reader({P0: position})
        found = (await take(reader, count - position, records_max=17))[P0]
        assert [each.time_ms for each in found] == list(range(position, count))
    await log.close()


async def test_the_write_ahead_log_is_folded_into_the_file(path: Path) -> None:
    log = await SqliteLog.open(path)
    appender = await log.appender()
    for _ in range(60):
        await appender.append(P0, [Raw(b"", b"x" * 100_000, (), 0)] * 5)
    sizes = file_sizes(path.parent)
    assert sizes["log.sqlite-wal"] < 12_000_000 < sizes["log.sqlite"]
    await log.close()
    assert file_sizes(path.parent).keys() == {"log.sqlite", "log.sqlite-lock"}


def file_sizes(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in directory.iterdir()}
