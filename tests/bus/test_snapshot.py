"""Snapshots: a start from one and the tail is a start from zero, and whatever is not sound is refused and named."""

import copy
import dataclasses
import hashlib
import logging
import os
import pickle
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from immutables import Map

from bus.address import open_log
from bus.channel import Partition, partition_number
from bus.clock import SystemClock
from bus.codec import Codec
from bus.deadline import Deadlines
from bus.home_fold import HomeFold
from bus.log import Log
from bus.publisher import Publisher
from bus.seat import HANDED_OVER_RECORDS, PASSED_FACTOR
from bus.snapshot import DirectorySnapshots, SnapshotRefused, _unpack, code_version
from tests.bus.bank import CLERK, LANGUAGE, ROLES, SAFE, TELLER, DepositRequested, Stored
from tests.bus.test_runtime import facts, running
from tests.eventually import eventually

CODEC = Codec(LANGUAGE)
HOME = Partition("task", 0)
DEPOSITS = HANDED_OVER_RECORDS + 200


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    log = await open_log(f"sqlite:///{tmp_path / 'log'}", partitions=2)
    yield log
    await log.close()


async def deposit(log: Log, first: int, count: int) -> None:
    publisher = Publisher(log, CODEC, SystemClock())
    partition, raw = publisher._raw(DepositRequested(workspace_id=_workspace(), amount=1), "x", "", "")
    for start in range(first, first + count, 100):
        raws = [
            raw._replace(headers=tuple((n, f"ask-{i}".encode() if n == "ce_id" else v) for n, v in raw.headers))
            for i in range(start, min(start + 100, first + count))
        ]
        await publisher.append(partition, raws)
    await publisher.close()


def _workspace() -> str:
    """A key of partition 0."""
    return next(name for name in (f"w{n}" for n in range(100)) if partition_number(name, 2) == HOME.number)


async def make_snapshots(log: Log, directory: Path, first: int = 0) -> DirectorySnapshots:
    snapshots = DirectorySnapshots(directory)
    async with running(log, snapshots=snapshots):
        await deposit(log, first, DEPOSITS)
        await facts(log, "event", Stored, first + DEPOSITS)
    return snapshots


async def folded(log: Log, role: Any, home: Partition, snapshots: DirectorySnapshots | None) -> HomeFold:
    fold = HomeFold(role, home, CODEC, log.partitions)
    if snapshots is not None:
        await fold.start(log, snapshots)
    await fold.read(log, (await log.ends([home]))[home])
    return fold


async def test_a_snapshot_and_the_tail_are_the_whole_log(log: Log, tmp_path: Path) -> None:
    snapshots = await make_snapshots(log, tmp_path / "snapshots")
    async with running(log):
        await deposit(log, DEPOSITS, 50)
        await facts(log, "event", Stored, DEPOSITS + 50)
    for role in ROLES:
        home = Partition(role.home, 0)
        whole, quick = await folded(log, role, home, None), await folded(log, role, home, snapshots)
        assert quick.state == whole.state
        assert quick.ledger.saved() == whole.ledger.saved()
        assert (quick.epoch, quick.session) == (whole.epoch, whole.session)
        if role in (TELLER, CLERK):
            assert 0 < quick.records < whole.records / 2


async def test_a_role_that_says_nothing_need_not_read_all_of_a_busy_home_again(log: Log, tmp_path: Path) -> None:
    silent = dataclasses.replace(SAFE, name="vault.guard", hears=frozenset(), says=frozenset())
    snapshots = DirectorySnapshots(tmp_path / "snapshots")
    async with running(log, (*ROLES, silent), snapshots=snapshots) as runtime:
        await deposit(log, 0, DEPOSITS)
        await facts(log, "event", Stored, DEPOSITS)
        home = Partition(silent.home, 0)
        end = (await log.ends([home]))[home]
        assert end > PASSED_FACTOR * HANDED_OVER_RECORDS
        await eventually(lambda: runtime.place(home).offset >= end)
    fold = await folded(log, silent, home, snapshots)
    assert fold.started_at >= end


async def test_an_owner_that_starts_from_a_snapshot_goes_on_where_the_old_one_stopped(log: Log, tmp_path: Path) -> None:
    snapshots = await make_snapshots(log, tmp_path / "snapshots")
    async with running(log, snapshots=snapshots):
        await deposit(log, DEPOSITS - 10, 20)
        stored = await facts(log, "event", Stored, DEPOSITS + 10)
    assert len({envelope.record.ask_id for envelope in stored}) == len(stored)


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda data: data[:-40], "damaged"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "damaged"),
        (lambda data: data.replace(code_version(TELLER).encode(), b"0" * 32), "other code"),
        (lambda data: b"", "damaged"),
    ],
)
async def test_what_is_not_sound_is_refused_named_and_folded_again(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any, word: str
) -> None:
    snapshots = await make_snapshots(log, tmp_path / "snapshots")
    (path,) = (tmp_path / "snapshots" / "bank.teller-0").glob("*.snapshot")
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        fold = await folded(log, TELLER, HOME, snapshots)
    assert fold.records == DEPOSITS + 1  # and the Heard of the hand-over
    assert str(path) in caplog.text
    assert word in caplog.text


async def test_a_snapshot_of_another_log_is_refused(log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshots = await make_snapshots(log, tmp_path / "snapshots")
    other = await open_log(f"sqlite:///{tmp_path / 'other'}", partitions=2)
    await make_snapshots(other, tmp_path / "elsewhere")
    with caplog.at_level(logging.WARNING):
        fold = await folded(other, TELLER, HOME, snapshots)
    assert fold.records == DEPOSITS + 1  # and the Heard of the hand-over
    assert "is of another log" in caplog.text
    await other.close()


def test_a_file_cannot_call_a_function() -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, ("false",)

    body = zlib.compress(pickle.dumps((Evil(), "", 1, 2)))
    head = f"clawx snapshot 1\n{code_version(TELLER)} {hashlib.sha256(body).hexdigest()}\n".encode()
    with pytest.raises(SnapshotRefused, match="is no value of a state"):
        _unpack(TELLER, head + body)


def test_deadlines_survive_however_deep_their_heap_is() -> None:
    deadlines = Deadlines()
    for n in range(20_000):
        deadlines = deadlines.set(f"d{n}", n)
    again = copy.deepcopy(deadlines)  # by the way that pickle goes, too
    assert again == deadlines
    assert again.first() == (0, "d0")
    assert isinstance(again.times, Map)
