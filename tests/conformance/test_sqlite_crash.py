"""SIGKILL in the middle of appends: what was acknowledged is there, and of no batch a part."""

import asyncio
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from bus.backends.sqlite import SqliteLog
from bus.channel import Partition
from bus.log import Stored
from tests.conformance import appending
from tests.conformance.records import append, read_all

ROOT = Path(__file__).parents[2]


def append_until_killed(path: Path, acknowledged_min: int) -> list[str]:
    """Lines of the program, which is killed while it goes on after so many of them."""
    command = [sys.executable, "-m", appending.__name__, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        lines = [program.stdout.readline() for _ in range(acknowledged_min)]
        program.kill()
        lines += program.stdout.readlines()
    return [line for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("acknowledged_min", [1, 37, 500])
async def test_acknowledged_batches_survive_and_none_is_torn(tmp_path: Path, acknowledged_min: int) -> None:
    path = tmp_path / "log.sqlite"
    lines = await asyncio.to_thread(append_until_killed, path, acknowledged_min)
    log = await SqliteLog.open(path)
    stored = {number: await read_all(log, Partition("task", number)) for number in range(appending.PARTITIONS)}
    assert acknowledged(lines) <= {batch for records in stored.values() for batch in batches(records)}
    for records in stored.values():
        check_order(batches(records))
    assert await append(log, Partition("task", 0), "more") == len(stored[0])
    await log.close()


def acknowledged(lines: list[str]) -> set[tuple[str, int, int]]:
    """Appender, number and offset of each batch that was durable."""
    found = {(name, int(number), int(offset)) for name, number, offset in map(str.split, lines)}
    assert len(found) == len(lines) > 0
    return found


def batches(records: list[Stored]) -> list[tuple[str, int, int]]:
    """The same for each batch that is there; checks that each is whole."""
    found = []
    at = 0
    while at < len(records):
        number, _, length = map(int, records[at].value.rstrip(b".").split())
        whole = records[at : at + length]
        assert [each[1:] for each in whole] == [tuple(each) for each in appending.batch(whole[0].key.decode(), number)]
        found.append((whole[0].key.decode(), number, whole[0].offset))
        at += length
    return found


def check_order(found: list[tuple[str, int, int]]) -> None:
    numbers = defaultdict(list)
    for name, number, _ in found:
        numbers[name].append(number)
    for each in numbers.values():
        assert each == list(range(each[0], each[0] + 2 * len(each), 2))
