"""Each attempt is worked on once, stopped in time, and answered by exactly one end report."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.blobs import digest_of
from services.records.content import INLINE_BYTES_MAX, Content
from services.records.instance import InstanceStarting
from services.records.node import WorkerGone, WorkerStarted
from services.records.task import AttemptCancelled, TaskAssigned, TaskCompleted, TaskFailed
from services.records.telemetry import WorkerOutput
from tests.eventually import eventually
from tests.services.factory.process_table import find_processes
from tests.services.factory.world import WORKSPACE, World, artifact, python

SLEEP = """
import sys, time
open('outputs/out', 'w').write('half')
print('there', file=sys.stderr, flush=True)
time.sleep(600)
"""
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('there', file=sys.stderr, flush=True); time.sleep(600)"
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.open(tmp_path) as world, world.node():
        yield world
    assert find_processes(tmp_path) == []


async def cancel(world: World, assigned: TaskAssigned) -> None:
    await world.owners.say(
        AttemptCancelled(
            workspace_id=WORKSPACE,
            run_id=assigned.work.run_id,
            task_id=assigned.task_id,
            attempt_id=assigned.attempt_id,
            instance_id=assigned.instance_id,
            node_id=assigned.node_id,
            reason="nobody wants it any more",
        )
    )


async def start(world: World, driver: str, agent: str = "script", slots: int = 3) -> InstanceStarting:
    return await world.start(driver=driver, agent=agent, resources={"slots": slots})


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_a_script_plays_and_its_end_says_all(world: World, driver: str) -> None:
    order = await start(world, driver)
    script = {"script": [{"result": {"passed": True}, "outputs": {"out": "texts"}, "quality": 0.5, "delay": "20ms"}]}
    assigned = await world.assign(
        order, parameters=script, inputs=(artifact("out", b"old", 3), artifact("spec", b"s", 2)), stage="test"
    )
    end = await world.end_of(assigned)
    assert isinstance(end, TaskCompleted), end
    assert (end.result, end.quality) == ('{"passed":true}', 0.5)
    assert end.outputs == (
        Content(
            name="out",
            digest=digest_of(b"texts"),
            size=5,
            media_type="text/plain",
            inline=b"texts",
            base_version=3,
        ),
    )
    assert [(read.name, read.version, read.digest) for read in end.reads] == [
        ("out", 3, digest_of(b"old")),
        ("spec", 2, digest_of(b"s")),
    ]
    assert (end.stage, end.task_id, end.instance_id) == ("test", assigned.task_id, "i1")
    assert (end.node_id, end.node_session, end.incarnation) == ("n1", order.node_session, 1)
    assert end.usage
    assert 20 <= end.usage.wall_ms < 120_000
    assert end.started_at_ms > 0


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_a_failing_script_says_why_and_keeps_what_there_is(world: World, driver: str) -> None:
    order = await start(world, driver)
    script = {"script": [{"fail": "no luck", "outputs": {"out": "half"}}]}
    end = await world.end_of(await world.assign(order, parameters=script))
    assert isinstance(end, TaskFailed)
    assert (end.code, end.reason) == ("error", "no luck")
    assert [(each.name, each.inline) for each in end.outputs] == [("out", b"half")]


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_large_texts_go_to_the_blob_store(world: World, driver: str) -> None:
    order = await start(world, driver)
    texts = {"edge": "e" * INLINE_BYTES_MAX, "large": "l" * (INLINE_BYTES_MAX + 1)}
    end = await world.end_of(
        await world.assign(order, parameters={"script": [{"outputs": texts}]}, outputs=tuple(texts))
    )
    found = {each.name: each for each in end.outputs}
    assert found["edge"].inline == texts["edge"].encode()
    assert found["large"].inline is None
    assert await world.blobs.get(found["large"].digest) == texts["large"].encode()


async def test_many_small_outputs_do_not_overflow_the_record(world: World) -> None:
    order = await start(world, "process", "command")
    program = """
import json, sys
for each in json.load(sys.stdin)['outputs'].values():
    open(each['path'], 'w').write('x' * 4000)
print('{"ok": true}')
"""
    names = tuple(f"o{number}" for number in range(64))
    end = await world.end_of(await world.assign(order, parameters=python(program), outputs=names))
    assert isinstance(end, TaskCompleted)
    assert {each.name for each in end.outputs} == set(names)
    assert sum(each.inline is not None for each in end.outputs) == 12
    assert await world.blobs.get(end.outputs[-1].digest) == b"x" * 4000


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_an_assignment_heard_twice_is_worked_on_once(world: World, driver: str) -> None:
    order = await start(world, driver)
    assigned = await world.assign(order, parameters={"script": [{"delay": "50ms"}]})
    await world.owners.say(assigned)
    await world.end_of(assigned)
    await world.owners.say(assigned)
    await world.end_of(await world.assign(order, parameters={"script": [{"delay": "200ms"}]}))
    assert len(world.all(TaskCompleted, attempt_id=assigned.attempt_id)) == 1


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_a_cancelled_attempt_ends_as_cancelled(world: World, driver: str) -> None:
    order = await start(world, driver)
    assigned = await world.assign(order, parameters={"script": [{"delay": "10m"}]})
    await cancel(world, assigned)
    end = await world.end_of(assigned)
    assert isinstance(end, TaskFailed)
    assert (end.code, end.reason) == ("cancelled", "nobody wants it any more")
    await cancel(world, assigned)
    assert isinstance(await world.end_of(await world.assign(order)), TaskCompleted)


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_an_attempt_that_waits_for_a_slot_can_be_cancelled(world: World, driver: str) -> None:
    order = await start(world, driver, slots=1)
    first = await world.assign(order, parameters={"script": [{"delay": "5s"}]})
    second = await world.assign(order)
    third = await world.assign(order)
    await cancel(world, second)
    assert (await world.end_of(second)).started_at_ms == 0
    assert not world.all(TaskCompleted)
    assert isinstance(await world.end_of(first), TaskCompleted)
    assert isinstance(await world.end_of(third), TaskCompleted)


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_an_attempt_past_its_deadline_ends_as_timeout(world: World, driver: str) -> None:
    order = await start(world, driver)
    assigned = await world.assign(order, parameters={"script": [{"delay": "10m"}]}, timeout_ms=200)
    end = await world.end_of(assigned)
    assert isinstance(end, TaskFailed)
    assert (end.code, end.reason) == ("timeout", "it was not done by its deadline, 200 ms after it was assigned")


async def test_a_program_past_its_deadline_is_ended_and_its_output_kept(world: World) -> None:
    order = await start(world, "process", "command")
    end = await world.end_of(await world.assign(order, parameters=python(SLEEP), timeout_ms=8_000))
    assert isinstance(end, TaskFailed)
    assert (end.code, [each.inline for each in end.outputs]) == ("timeout", [b"half"])
    assert len(find_processes(world.directory / "node-n1" / "instances")) == 1, "the worker itself lives on"


async def test_a_program_that_will_not_end_is_killed(world: World) -> None:
    order = await start(world, "process", "command")
    assigned = await world.assign(order, parameters=python(STUBBORN))
    await world.first(WorkerOutput, line="there")
    await cancel(world, assigned)
    end = await world.end_of(assigned)
    assert isinstance(end, TaskFailed)
    assert end.code == "cancelled"
    await eventually(lambda: len(find_processes(world.directory / "node-n1" / "instances")) == 1)


async def test_a_worker_that_does_not_end_an_attempt_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.factory.attempts.STUBBORN_MS", -1_900)
    order = await start(world, "process")
    os.kill((await world.first(WorkerStarted)).pid, signal.SIGSTOP)
    late = await world.assign(order, parameters={"script": [{"delay": "10m"}]}, timeout_ms=300)
    other = await world.assign(order, parameters={"script": [{"delay": "10m"}]})
    ends = [await world.end_of(late), await world.end_of(other)]
    assert [end.code for end in ends if isinstance(end, TaskFailed)] == ["timeout", "worker_lost"]
    await world.first(WorkerGone, instance_id="i1")


async def test_lines_of_progress_are_passed_on_within_a_rate(world: World) -> None:
    flood = (
        "import sys\nfor n in range(3000): print(f'line {n} ' + 'x' * 5000, file=sys.stderr)\nprint('{\"ok\": true}')"
    )
    order = await start(world, "process", "command")
    assigned = await world.assign(order, parameters=python(flood), outputs=())
    assert isinstance(await world.end_of(assigned), TaskCompleted)
    last = await eventually(lambda: [each for each in world.all(WorkerOutput) if "left out" in each.line])
    lines = world.all(WorkerOutput)
    assert 100 <= len(lines) < 2_000
    assert lines[0].line.startswith("line 0 ")
    assert max(len(each.line) for each in lines) <= 2_000
    assert last[0].line == f"… {3000 - len(lines) + 1} lines left out"
    assert (lines[0].run_id, lines[0].stage, lines[0].attempt_id) == ("r1", "s1", assigned.attempt_id)


async def test_an_unknown_agent_fails_the_attempt(world: World) -> None:
    order = await start(world, "process")
    end = await world.end_of(await world.assign(order, agent="oracle"))
    assert isinstance(end, TaskFailed)
    assert end.reason == "there is no agent 'oracle'; there are: claude, codex, command, model, openclaw, script"


async def test_an_inline_worker_runs_no_programs(world: World) -> None:
    order = await start(world, "inline")
    end = await world.end_of(await world.assign(order, agent="command", parameters=python("pass")))
    assert isinstance(end, TaskFailed)
    assert end.reason == "an inline worker cannot run the agent 'command'"
