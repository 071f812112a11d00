"""Workers are real processes: kept apart, watched, and gone with all they started."""

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from bus.blobs import digest_of
from services.records.content import Artifact
from services.records.instance import InstanceStarting
from services.records.node import WorkerGone, WorkerStarted
from services.records.task import TaskAssigned, TaskCompleted, TaskFailed
from services.records.telemetry import NodeHeartbeat, WorkerOutput
from tests.eventually import eventually
from tests.services.factory.process_table import find_processes, find_zombies
from tests.services.factory.world import World, artifact, python

STAY = """
import os, sys, time
def leave(seconds, environment):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir('/')
            os.execvpe('sleep', ['sleep', seconds], environment)
        os._exit(0)
    os.wait()
leave(sys.argv[1], dict(os.environ))
leave(sys.argv[1], {'PATH': os.environ['PATH']})
open('outputs/out', 'w').write('so far')
print('there', file=sys.stderr, flush=True)
time.sleep(600)
"""
"""A program that stays, with two grandchildren in sessions of their own, one of them with nothing to know it by."""


TRIES_MAX = 5
"""What must take less than a second is shown when it does so once: how often, the machine's load decides too."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.open(tmp_path) as world:
        yield world
    assert find_processes(tmp_path, "60.4") == []
    assert find_zombies() == []


async def start_staying(world: World, instance_id: str, mark: str) -> tuple[InstanceStarting, TaskAssigned]:
    """An instance whose command stays, with its grandchildren."""
    order = await world.start(instance_id, agent="command")
    assigned = await world.assign(order, parameters=python(STAY, mark))
    await world.first(WorkerOutput, instance_id=instance_id, line="there")
    await eventually(lambda: len(find_processes(world.directory / "node-n1" / "instances", mark)) >= 4)
    return order, assigned


def count_sockets(pid: int) -> int:
    places = [str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(place.startswith("socket:") for place in places)


async def test_a_worker_runs_in_its_own_session_directory_and_environment(world: World, tmp_path: Path) -> None:
    async with world.node():
        await world.start()
        worker = psutil.Process((await world.first(WorkerStarted)).pid)
        assert os.getsid(worker.pid) == worker.pid
        assert Path(worker.cwd()).is_relative_to(tmp_path / "node-n1" / "instances")
        assert set(worker.environ()) <= {"PATH", "LANG", "LC_CTYPE"}
        assert count_sockets(worker.pid) == 3, "its socket to the node, and the two of its event loop"


async def test_workers_work_at_once_up_to_their_slots(world: World) -> None:
    async with world.node():
        order = await world.start(resources={"slots": 2})
        slow = {"script": [{"delay": "3s"}]}
        first = [await world.assign(order, parameters=slow) for _ in range(3)]
        ends = [await world.end_of(each) for each in first]
    assert all(isinstance(end, TaskCompleted) for end in ends)
    began = sorted(end.started_at_ms for end in ends)
    assert began[1] - began[0] < 2_500
    assert began[2] - began[0] >= 2_900


async def test_a_killed_worker_is_reported_with_its_attempts_and_leaves_nothing(world: World) -> None:
    async with world.node():
        _, assigned = await start_staying(world, "i1", "60.41")
        os.kill((await world.first(WorkerStarted)).pid, signal.SIGKILL)
        await world.first(WorkerGone, instance_id="i1")
        assert find_processes(world.directory / "node-n1" / "instances", "60.41") == []
        end = await world.end_of(assigned)
    assert isinstance(end, TaskFailed)
    assert (end.code, end.reason) == ("worker_lost", "the worker killed by SIGKILL")
    assert {each.name: each.inline for each in end.outputs} == {"out": b"so far"}
    gone = world.all(WorkerGone, instance_id="i1")
    assert [each.reason for each in gone] == ["the worker killed by SIGKILL"]


async def test_a_stop_ends_the_whole_tree_within_a_second(world: World) -> None:
    took_s = [10.0]
    async with world.node():
        while min(took_s) >= 1 and len(took_s) <= TRIES_MAX:
            order, assigned = await start_staying(world, f"i{len(took_s)}", "60.42")
            started = time.monotonic()
            await world.stop(order)
            took_s.append(time.monotonic() - started)
            assert find_processes(world.directory / "node-n1" / "instances", "60.42") == []
            end = await world.end_of(assigned)
            assert isinstance(end, TaskFailed)
            assert (end.code, [each.inline for each in end.outputs]) == ("worker_lost", [b"so far"])
            assert list((world.directory / "node-n1" / "instances").iterdir()) == []
    assert min(took_s) < 1, took_s


async def test_one_stop_leaves_other_workers_alone(world: World) -> None:
    async with world.node():
        order, _ = await start_staying(world, "i1", "60.43")
        other, staying = await start_staying(world, "i2", "60.44")
        await world.stop(order)
        assert find_processes(world.directory / "none", "60.43") == []
        assert len(find_processes(world.directory / "none", "60.44")) == 3
        assert not world.all(TaskFailed, attempt_id=staying.attempt_id)
        await world.stop(other)


async def test_a_hung_worker_is_left_out_of_the_heartbeat(world: World) -> None:
    async with world.node():
        await world.start("i1")
        await world.start("i2")
        pid = (await world.first(WorkerStarted, instance_id="i1")).pid

        def beating() -> set[str]:
            return {each.instance_id for each in world.all(NodeHeartbeat)[-1].workers}

        await eventually(lambda: beating() == {"i1", "i2"})
        os.kill(pid, signal.SIGSTOP)
        await eventually(lambda: beating() == {"i2"})
        os.kill(pid, signal.SIGCONT)
        await eventually(lambda: beating() == {"i1", "i2"})
        os.kill(pid, signal.SIGSTOP)


async def test_a_heartbeat_says_how_its_workers_are(world: World) -> None:
    async with world.node():
        order = await world.start(resources={"slots": 3})
        for _ in range(2):
            await world.assign(order, parameters={"script": [{"delay": "10m"}]})
        await eventually(
            lambda: world.all(NodeHeartbeat)[-1].workers and world.all(NodeHeartbeat)[-1].workers[0].busy == 2
        )
        pulse = world.all(NodeHeartbeat)[-1].workers[0]
    assert (pulse.workspace_id, pulse.incarnation) == (order.workspace_id, 1)
    assert 0 < pulse.memory_mib < 100


async def test_when_the_launcher_is_killed_its_workers_are_gone_and_others_can_be_started(world: World) -> None:
    async with world.node():
        _, assigned = await start_staying(world, "i1", "60.45")
        worker = psutil.Process((await world.first(WorkerStarted)).pid)
        os.kill(worker.ppid(), signal.SIGKILL)
        await world.first(WorkerGone, instance_id="i1")
        assert isinstance(await world.end_of(assigned), TaskFailed)
        known = find_processes(world.directory / "node-n1" / "instances")
        assert known == []
        # The one without session, directory and environment of its own has nobody left to tell whose it is.
        for escaped in find_processes(world.directory / "none", "60.45"):
            escaped.kill()
        again = await world.start("i2")
        assert isinstance(await world.end_of(await world.assign(again)), TaskCompleted)


@pytest.mark.parametrize(
    ("fields", "step", "words"),
    [
        ({"driver": "vacuum"}, "driver", "offers no driver 'vacuum'"),
        ({"driver": "inline", "agent": "command"}, "agent", "plays scripts only"),
    ],
)
async def test_a_worker_that_cannot_be_started_is_reported_with_the_step(
    world: World, fields: dict[str, str], step: str, words: str
) -> None:
    async with world.node():
        await world.start("i1", ready=False, **fields)
        gone = await world.first(WorkerGone, instance_id="i1")
        assert world.all(WorkerStarted) == []
    assert gone.step == step
    assert words in gone.reason


async def test_a_program_that_kills_its_worker_fails_alone(world: World) -> None:
    async with world.node():
        order = await world.start("i1", agent="command")
        other = await world.start("i2")
        end = await world.end_of(await world.assign(order, parameters=python("import os; os.kill(os.getppid(), 11)")))
        gone = await world.first(WorkerGone, instance_id="i1")
        assert isinstance(await world.end_of(await world.assign(other)), TaskCompleted)
    assert isinstance(end, TaskFailed)
    assert (end.code, gone.reason) == ("worker_lost", "the worker killed by SIGSEGV")


ROGUE = """
import sys
sys.path.insert(0, {root!r})
import services.factory.worker.launcher as launcher
def rogue(end):
    if not {words!r}:
        print("cannot find my tongue", flush=True)
        end.recv(1)
    end.sendall(b'{{"hello": 1}}\\n')
    while b'"attempt"' not in end.recv(65536):
        pass
    end.sendall({words!r})
    end.recv(1)
    return 0
launcher.run_worker = rogue
launcher.main(sys.argv[1:])
"""


@pytest.fixture
def rogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Lets workers say these words to their first attempt, or not even hello if there are none."""

    def install(words: bytes) -> None:
        program = tmp_path / "rogue.py"
        program.write_text(ROGUE.format(root=str(Path(__file__).parents[3]), words=words))
        monkeypatch.setattr("services.factory.drivers.launching.WORKER_PROGRAM", program)

    return install


async def test_a_worker_that_does_not_say_hello_is_ended(world: World, rogue: Callable[[bytes], None]) -> None:
    rogue(b"")
    async with world.node(start_timeout_ms=5_000):
        await world.start("i1", ready=False)
        gone = await world.first(WorkerGone, instance_id="i1")
    assert gone.step == "hello"
    assert gone.reason == "the worker did not say hello within 5000 ms; it printed: cannot find my tongue"


@pytest.mark.parametrize(
    "words",
    [
        b"what?\n",
        b"[1]\n",
        b'{"ended": "a1"}\n',
        b'{"ended": "a1", "code": "error", "envelope": 3}\n',
        b'{"line": "x"}\n',
        b"x" * 5_000_000,
        b"\xff\n",
    ],
)
async def test_a_worker_that_breaks_the_rules_of_its_socket_is_ended(
    world: World, rogue: Callable[[bytes], None], words: bytes
) -> None:
    rogue(words)
    async with world.node():
        order = await world.start("i1")
        end = await world.end_of(await world.assign(order, attempt_id="a1"))
        await world.first(WorkerGone, instance_id="i1")
    assert isinstance(end, TaskFailed)
    assert end.code == "worker_lost"


async def test_a_worker_speaks_for_its_own_open_attempts_only(world: World, rogue: Callable[[bytes], None]) -> None:
    rogue(
        b'{"ended": "other", "code": "error", "envelope": {"ok": true}}\n'
        b'{"line": "for another", "attempt": "other"}\n'
        b'{"ended": "a1", "code": "worker_lost", "envelope":'
        b' {"ok": false, "outputs": {"out": {"path": "/etc/passwd"}}}}\n'
        b'{"ended": "a1", "code": "error", "envelope": {"ok": true}}\n'
    )
    async with world.node():
        other = await world.start("i2", driver="inline")
        delayed = {"script": [{"delay": "300ms"}]}
        held = await world.assign(other, attempt_id="other", parameters=delayed)
        order = await world.start("i1")
        end = await world.end_of(await world.assign(order, attempt_id="a1"))
        assert isinstance(await world.end_of(held), TaskCompleted)
        assert world.all(WorkerOutput) == []
    assert isinstance(end, TaskFailed)
    assert (end.code, end.reason, end.outputs) == ("worker_lost", "it failed without saying why", ())


async def test_twenty_workers_start_at_once(world: World) -> None:
    async with world.node():
        orders = [await world.start(f"i{number}", ready=False) for number in range(20)]
        await eventually(lambda: len(world.all(WorkerStarted)) == 20)
        ends = [await world.end_of(await world.assign(order)) for order in orders]
    assert len({end.instance_id for end in ends}) == 20


async def test_an_attempt_gets_its_inputs_and_its_outputs_are_stored(world: World) -> None:
    big = b"x" * 100_000
    digest = await world.blobs.put(big)
    inputs = (
        artifact("small", b"one"),
        Artifact(name="../big/", version=4, digest=digest, size=len(big)),
    )
    program = """
import json, os, sys
task = json.load(sys.stdin)
texts = {name: open(each['path'], 'rb').read() for name, each in task['inputs'].items()}
modes = {name: oct(os.stat(each['path']).st_mode & 0o777) for name, each in task['inputs'].items()}
open(task['outputs']['copy']['path'], 'wb').write(texts['../big/'] + texts['small'])
open('page.html', 'w').write('<p>')
answer = {'ok': True, 'result': modes, 'outputs': {'small': {'text': 'two'}, 'page': {'path': 'page.html'}}}
print(json.dumps(answer))
"""
    async with world.node():
        order = await world.start("i1", agent="command")
        end = await world.end_of(
            await world.assign(order, parameters=python(program), inputs=inputs, outputs=("copy", "small", "page"))
        )
        await eventually(lambda: not list((world.directory / "node-n1" / "instances").glob("*/attempts/*")))
    assert isinstance(end, TaskCompleted), end
    assert json.loads(end.result) == {"small": "0o444", "../big/": "0o444"}
    assert [(read.name, read.version) for read in end.reads] == [("small", 1), ("../big/", 4)]
    outputs = {each.name: each for each in end.outputs}
    assert (outputs["copy"].inline, outputs["copy"].digest) == (None, digest_of(big + b"one"))
    assert await world.blobs.get(outputs["copy"].digest) == big + b"one"
    assert (outputs["small"].inline, outputs["small"].base_version) == (b"two", 1)
    assert outputs["page"].media_type == "text/html"


async def test_missing_inputs_fail_the_attempt(world: World) -> None:
    lacking = Artifact(name="in", version=1, digest="sha256:" + "0" * 64, size=9)
    async with world.node():
        order = await world.start("i1", agent="command")
        end = await world.end_of(await world.assign(order, parameters=python("pass"), inputs=(lacking,)))
    assert isinstance(end, TaskFailed)
    assert (end.code, "the inputs could not be laid down: no blob" in end.reason) == ("error", True)
