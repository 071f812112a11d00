"""A log is read beside the process that owns it, which notices nothing."""

import asyncio
import sys
from pathlib import Path

import pytest

from bus.address import open_log, view_log
from bus.channel import Partition
from bus.errors import NamespaceMismatch, OffsetOutOfRange, Refused, Unavailable
from bus.log import Log, Raw
from tests.tidy.source_tree import ROOT

PLACE = Partition("task", 0)

CRASHING = """
import asyncio, os, sys
from bus.address import open_log
from bus.channel import Partition
from bus.log import Raw
async def main():
    log = await open_log(sys.argv[1], partitions=1)
    appender = await log.appender()
    for n in range(500):
        await appender.append(Partition("task", 0), [Raw(b"k", b"%d" % n, (), n)])
    os._exit(1)
asyncio.run(main())
"""


def url_of(path: Path) -> str:
    return f"sqlite:///{path / 'log.sqlite'}"


def names_in(path: Path) -> list[str]:
    return [each.name for each in path.iterdir()]


def wal_of(path: Path) -> bytes:
    return (path / "log.sqlite-wal").read_bytes()


async def append(log: Log, *values: bytes) -> None:
    appender = await log.appender()
    for value in values:
        await appender.append(PLACE, [Raw(b"key", value, (("name", b"content"),), 7)])


async def read(log: Log, start: int = 0) -> list[bytes]:
    end = (await log.ends([PLACE]))[PLACE]
    reader = await log.reader({PLACE: start})
    found: list[bytes] = []
    while len(found) < end - start:
        found += [stored.value for stored in (await reader.read())[PLACE]]
    return found


async def test_what_the_owner_commits_is_seen_as_it_is_stored(tmp_path: Path) -> None:
    owner = await open_log(url_of(tmp_path), partitions=1)
    await append(owner, b"a", b"b")
    view = await view_log(url_of(tmp_path))
    assert view.partitions == 1
    assert await read(view) == [b"a", b"b"]
    reader = await view.reader({PLACE: 2})
    waiting = asyncio.ensure_future(reader.read(wait_ms=10_000))
    await append(owner, b"c")
    (stored,) = (await waiting)[PLACE]
    assert stored == (2, b"key", b"c", (("name", b"content"),), 7)
    await owner.close()
    await append(again := await open_log(url_of(tmp_path)), b"d")
    assert await read(view, 3) == [b"d"]
    await again.close()
    await view.close()


async def test_nothing_can_be_written_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        await view_log(url_of(tmp_path))
    assert not names_in(tmp_path)
    await (await open_log(url_of(tmp_path), partitions=1)).close()
    view = await view_log(url_of(tmp_path))
    with pytest.raises(Refused, match="read only"):
        await view.appender()
    with pytest.raises(OffsetOutOfRange):
        await (await view.reader({PLACE: 1})).read()
    await view.close()
    with pytest.raises(Unavailable, match="closed"):
        await view.ends([PLACE])
    with pytest.raises(NamespaceMismatch):
        await view_log(url_of(tmp_path), namespace="other")


async def test_the_log_of_an_owner_that_crashed_is_read_without_folding_it(tmp_path: Path) -> None:
    crashing = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASHING, url_of(tmp_path), cwd=ROOT)
    assert await crashing.wait() == 1
    before = wal_of(tmp_path)
    view = await view_log(url_of(tmp_path))
    assert await read(view) == [b"%d" % n for n in range(500)]
    await view.close()
    assert wal_of(tmp_path) == before
    owner = await open_log(url_of(tmp_path))
    assert len(await read(owner)) == 500
    await owner.close()
