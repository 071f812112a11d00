"""A node that is killed leaves nothing running, and its next life says what became of its work."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.factory.journal import JOURNAL, Journal, JournalDamaged
from services.records.node import NodeJoined, WorkerGone, WorkerStarted
from services.records.task import TaskCompleted, TaskFailed
from tests.eventually import eventually
from tests.services.factory.process_table import find_processes
from tests.services.factory.world import World

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def node_process(directory: Path, mark: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """A node in a process of its own, with work under way."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.services.factory.node_program", str(directory), mark),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_workers_of_a_killed_node_die_with_it(tmp_path: Path) -> None:
    async with node_process(tmp_path, "60.51") as (process, _):
        assert len(find_processes(tmp_path, "60.51")) >= 5
        process.kill()
        await process.wait()
        await eventually(lambda: find_processes(tmp_path, "60.51") == [])


async def test_the_next_life_reports_what_was_open_then_joins_anew(tmp_path: Path) -> None:
    async with node_process(tmp_path, "60.52") as (process, known):
        process.kill()
        await process.wait()
    async with World.open(tmp_path) as world, world.node() as node:
        assert node.session != known["session"]
        failed = {each.attempt_id: each for each in world.all(TaskFailed)}
        assert set(failed) == {"open", "delayed"}
        assert {(each.code, each.node_session) for each in failed.values()} == {("worker_lost", known["session"])}
        outputs = {each.name: each.inline for each in failed["open"].outputs}
        assert outputs == {"out": b"so far", "s1.stdout": b"one\ntwo\n"}
        gone = world.all(WorkerGone)
        assert {(each.instance_id, each.incarnation, each.node_session) for each in gone} == {
            ("i1", 1, known["session"]),
            ("i2", 1, known["session"]),
        }
        assert [each.attempt_id for each in world.all(TaskCompleted)] == ["done"]
        events = [each.record for each in world.heard if type(each.record) in (WorkerGone, NodeJoined)]
        assert type(events[-1]) is NodeJoined
        assert list((tmp_path / "node-n1").glob("instances/*")) == []
    journal = Journal(tmp_path / "node-n1")
    assert (journal.attempts, journal.instances, journal.reports) == ({}, {}, {})
    journal.close()


async def doom(directory: Path, count: int) -> bool:
    """Kill a node at its n-th line, then let its next life say what became of its work.

    False if it did not come so far.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.services.factory.doomed_node", str(directory), str(count)), cwd=ROOT
    )
    if await process.wait() != -signal.SIGKILL:
        return False
    await eventually(lambda: find_processes(directory) == [], what=f"killed at {count}, nothing runs on")
    async with World.open(directory) as world, world.node() as node:
        started = {each.instance_id for each in world.all(WorkerStarted)}
        gone = [each for each in world.all(WorkerGone) if each.node_session != node.session]
        assert started <= {each.instance_id for each in gone}, f"killed at {count}: {started} were never reported gone"
        ends = {
            (type(each.record).__name__, each.record.attempt_id, each.id)
            for each in world.heard
            if each.record.channel == "task"
        }
        assert len(ends) == len({attempt_id for _, attempt_id, _ in ends}), f"killed at {count}: {ends} ended twice"
        assert list((directory / "node-n1").glob("instances/*")) == []
    journal = Journal(directory / "node-n1")
    journal.close()
    assert (journal.attempts, journal.instances, journal.reports) == ({}, {}, {})
    return True


@pytest.mark.parametrize("count", [2, 4, 6, 8, 11])
async def test_wherever_a_node_is_killed_nothing_is_leaked_or_said_twice(tmp_path: Path, count: int) -> None:
    assert await doom(tmp_path, count)


@pytest.mark.soak
@pytest.mark.parametrize("count", range(1, 25))
async def test_wherever_a_node_is_killed_at_all(tmp_path: Path, count: int) -> None:
    assert await doom(tmp_path, count) or count > 14


async def test_workers_that_outlive_node_and_launcher_are_killed_by_the_next_life(tmp_path: Path) -> None:
    async with node_process(tmp_path, "60.53") as (process, known):
        worker = psutil.Process(next(pid for pid in known["pids"] if pid))
        launcher = psutil.Process(worker.ppid())
        for each in (launcher, worker):
            each.suspend()  # so that it cannot clean up
        process.kill()
        await process.wait()
        launcher.kill()
        await eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        assert find_processes(tmp_path, "60.53"), "the command and what it started have nobody left"
    async with World.open(tmp_path) as world, world.node():
        assert find_processes(tmp_path / "node-n1" / "instances", "60.53") == []


async def test_a_number_that_belongs_to_another_process_by_now_is_left_alone(tmp_path: Path) -> None:
    async with World.open(tmp_path) as world, world.node() as node:
        session = node.session
    bystander = await asyncio.create_subprocess_exec("sleep", "600")
    entry = {
        "is": "instance",
        "id": "i9",
        "workspace_id": "default",
        "node_session": session,
        "incarnation": 1,
        "directory": str(tmp_path / "none"),
        "pid": bystander.pid,
        "born": 1,
    }
    journal = tmp_path / "node-n1" / JOURNAL
    journal.write_text(journal.read_text() + json.dumps(entry) + "\n" + '{"is": "instance", "id": "cut o')
    try:
        async with World.open(tmp_path) as world, world.node():
            await world.first(WorkerGone, instance_id="i9")
            assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


async def test_a_suspended_node_does_not_keep_its_successor_from_the_directory_once_killed(tmp_path: Path) -> None:
    async with node_process(tmp_path, "60.54") as (process, _):
        os.kill(process.pid, signal.SIGSTOP)
        process.kill()
        await process.wait()
    async with World.open(tmp_path) as world, world.node() as node:
        assert node.is_accepted


@pytest.mark.parametrize("text", ['{"is": "session"\n{"is": "x"}\n', "\0\0\n"])
async def test_a_damaged_journal_stops_the_node_with_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "node-n1").mkdir()
    (tmp_path / "node-n1" / JOURNAL).write_text(text)
    async with World.open(tmp_path) as world:
        node = world.make_node()
        with pytest.raises(JournalDamaged, match=r"line 1 of .* cannot be read"):
            await node.run()
        await node.close()
