"""From every point of a run a fork comes to the same end: a split, a loop, a map, a subflow and a mutex."""

import random

import pytest

from services.records.fork import RunForkRequested
from services.records.task import RunStarted, StageCompleted, StageEnded, TaskRequested, run_id_of
from tests.services.orchestrator.run_world import WORKSPACE, World

FLOW = """
id: x
subflows: {i: {id: i, stages: [{id: p, profession: p, output: [m], next: [q]}, {id: q, profession: p, input: [m]}]}}
stages:
  - {id: a, profession: p, output: [x], next: [b, c, s]}
  - id: b
    profession: p
    input: [x]
    output: [y]
    mutex: k
    next: [{to: b, when: 'result.n < 3', max_times: 5}, {to: j, else: true}]
  - {id: c, profession: p, output: [r], map: {over: list, max_parallel: 2, collect: all}, next: [j]}
  - {id: s, kind: subflow, subflow: {id: i, outputs: {out: m}}, mutex: k, next: [j]}
  - {id: j, profession: p, input: [x, y, all, out], output: [z]}
"""


def play(world: World, dice: random.Random) -> None:
    """Workers answer in any order, and the same to the same attempt."""
    while world.live:
        world.go_on()
        if open_ := [each for each in world.open_requests() if each.work.run_id == world.run_id]:
            asked = dice.choice(open_)
            work = asked.work
            outputs = {name: f"{name} {work.execution} {work.item}" for name in work.outputs}
            world.report(asked, {"n": work.ordinal}, outputs)


def read_at_last(world: World) -> list[str]:
    """What the last stage was given."""
    ended = [f for f in world.facts if isinstance(f, StageCompleted) and f.run_id == world.run_id and f.stage == "j"]
    (asked,) = [f for f in world.facts if isinstance(f, TaskRequested) and f.task_id == ended[0].task_id]
    return sorted(f"{a.name} {a.version} {a.inline!r}" for a in asked.work.inputs)


def ends(world: World) -> set[tuple[str, int, int]]:
    ended = [f for f in world.facts if isinstance(f, StageCompleted | StageEnded) and f.run_id == world.run_id]
    return {(each.stage, each.execution, each.item) for each in ended}


@pytest.mark.parametrize("seed", range(30))
def test_from_every_point_of_a_run_a_fork_comes_to_the_same_end(seed: int) -> None:
    dice, world = random.Random(seed), World()
    old = world.run(FLOW, list=["p", "q", "u"]).run_id
    play(world, dice)
    assert world.end.status == "completed"
    read, ended, forks = read_at_last(world), ends(world), 0
    for point in range(len(world.facts)):
        world.run_id = run_id_of(world.ask(RunForkRequested(workspace_id=WORKSPACE, run_id=old, offset=point)))
        if isinstance(world.last[0], RunStarted):
            play(world, dice)
            assert (world.end.status, read_at_last(world)) == ("completed", read), point
            assert ends(world) <= ended  # nothing that was through is done again
            forks += 1
    assert forks > 20
