"""The runs role: what follows from asks, reports and time."""

import json

import pytest

from services.definitions.versions import digest_of
from services.records.task import (
    RunRefused,
    RunRequested,
    StageCompleted,
    StageEnded,
    TaskRequested,
)
from tests.services.definitions.test_workflow import SPECIFICATION
from tests.services.orchestrator.run_world import WORKSPACE, World, flow


def test_the_flow_of_the_specification_runs_stage_by_stage() -> None:
    world = World().run(SPECIFICATION, user_request="an online shop")
    assert world.types() == ["RunStarted", "TaskRequested"]
    for stage, artifact in [
        ("requirement", "prd_document"),
        ("architecture", "tech_design"),
        ("development", "code_artifacts"),
    ]:
        world.complete(stage)
        assert world.types() == ["StageCompleted", "TaskRequested"]
        asked = world.last[1]
        assert isinstance(asked, TaskRequested)
        assert [each.name for each in asked.work.inputs] == [artifact]
    world.complete("testing")
    assert world.types() == ["StageCompleted", "RunEnded"]
    assert world.end.status == "completed"
    assert world.live is None


def test_an_attempt_is_asked_for_with_all_that_the_stage_says() -> None:
    stage = (
        "id: a, input: [i, {name: o, optional: true}], output: [r], skills: {python: 3}, agent: script, with: {x: 软}"
    )
    times = "timeout: 5s, queue_timeout: 1m, priority: 7, instructions: do it"
    asked = World().run(flow(f"{stage}, {times}"), i="text").request("a")
    work = asked.work
    assert (asked.attempt, work.execution, work.ordinal) == (1, 1, 1)
    assert [(each.name, each.version, each.inline) for each in work.inputs] == [("i", 1, b"text")]
    assert (work.outputs, work.skills, work.agent, work.profession) == (("r",), {"python": 3}, "script", "p")
    assert json.loads(work.parameters) == {"x": "软"}
    assert (work.timeout_ms, work.queue_timeout_ms, work.priority) == (5_000, 60_000, 7)
    assert work.instructions == "do it"


# Asks for runs.


def test_a_run_is_refused_with_the_reason() -> None:
    def reason(text: str, **inputs: object) -> str:
        world = World().run(text, **inputs)
        (refused,) = world.last
        assert isinstance(refused, RunRefused)
        assert refused.run_id == world.run_id
        return refused.reason

    assert "the input `i` is missing" in reason(flow("id: a, input: [i]"))
    assert "the workflow has no input `j`" in reason(flow("id: a, input: [i]"), i="x", j="y")
    assert "there is no stage `b`" in reason(flow("id: a, next: [b]"))
    assert "loop without a limit" in reason(flow("id: a, next: [a]"))


def test_a_definition_that_the_store_lacks_is_refused() -> None:
    world = World()
    world.ask(RunRequested(workspace_id=WORKSPACE, workflow_id="x", definition=digest_of(b"gone")))
    assert isinstance(world.last[0], RunRefused)
    assert "not in the blob store" in world.last[0].reason


def test_the_same_ask_twice_starts_one_run() -> None:
    world = World().run(flow("id: a"))
    first = world.facts.copy()
    data = next(iter(world.blobs))
    world.ask(RunRequested(workspace_id=WORKSPACE, workflow_id="x", definition=data), "ask1")
    assert world.last == []
    world.complete("a")
    world.ask(RunRequested(workspace_id=WORKSPACE, workflow_id="x", definition=data), "ask1")
    assert world.last == []
    assert world.facts[: len(first)] == first


def test_defaults_become_inputs() -> None:
    head = "inputs: {n: {type: integer, default: 3}, t: {type: string, default: 软}, o: {required: false}}\n"
    world = World().run(flow("id: a, input: [n, t, {name: o, optional: true}]", head))
    assert [(each.name, each.inline) for each in world.request("a").work.inputs] == [
        ("n", b"3"),
        ("t", "软".encode()),
    ]


# Ways on.


@pytest.mark.parametrize(
    ("result", "begins"),
    [({"x": 1}, ["b"]), ({"x": 2}, ["c"]), ({"x": 3}, ["b", "c"]), ({"x": 0}, ["d"])],
)
def test_edges_that_hold_are_taken_and_else_where_none_does(result: object, begins: list[str]) -> None:
    stages = """id: a, next: [{to: b, when: "result.x % 2 == 1"}, {to: c, when: "result.x > 1"}, {to: d, else: true}]
    id: b
    id: c
    id: d"""
    world = World().run(flow(stages)).complete("a", result)
    assert [asked.work.stage for asked in world.open_requests()] == begins
    skipped = [fact.stage for fact in world.last if isinstance(fact, StageEnded) and fact.status == "skipped"]
    assert sorted([*begins, *skipped]) == ["b", "c", "d"]


def test_choose_first_takes_the_first_that_holds() -> None:
    stages = """id: a, choose: first, next: [{to: b, when: "result.x > 5"}, {to: c, when: "result.x > 1"}, {to: d}]
    id: b
    id: c
    id: d"""
    world = World().run(flow(stages)).complete("a", {"x": 3})
    assert [asked.work.stage for asked in world.open_requests()] == ["c"]


def test_conditions_see_inputs_and_artifacts() -> None:
    stages = """id: a, input: [mode], output: [r], next: [{to: b, when: "inputs.mode.deep && artifacts.r.version == 1"}]
    id: b"""
    world = World().run(flow(stages), mode={"deep": True}).complete("a")
    assert world.request("b")


def test_a_stage_of_whose_edges_none_holds_fails_and_says_so() -> None:
    stages = """id: a, next: [{to: b, when: "result.ok"}]
    id: b"""
    world = World().run(flow(stages)).complete("a", {"ok": False})
    assert world.ends() == ["a1 failed"]
    assert world.end.status == "failed"
    assert "`a` has edges of which none holds: `result.ok` does not hold for `b`" in world.end.reason


def test_a_condition_that_cannot_be_judged_fails_the_stage_by_its_text() -> None:
    world = World().run(flow('id: a, next: [{to: b, when: "result.missing > 1"}]\n id: b')).complete("a", {})
    assert "the expression `result.missing > 1` reads the field 'missing', which is not there" in world.end.reason


LOOP = """id: develop, output: [source], input: [{name: report, optional: true}], next: [test]
id: test, input: [source], output: [report], next: [{to: ship, when: "result.ok"}, {to: develop, else: true, max_times: 2}]
id: ship, input: [source]"""  # noqa: E501


def test_a_loop_runs_its_stages_anew_with_new_versions() -> None:
    world = World().run(flow(LOOP))
    world.complete("develop").complete("test", {"ok": False})
    work = world.request("develop").work
    assert (work.execution, work.ordinal) == (2, 2)
    assert [(each.name, each.version) for each in work.inputs] == [("report", 1)]
    world.complete("develop").complete("test", {"ok": True}).complete("ship")
    assert world.ends() == [
        "develop1 completed",
        "test1 completed",
        "develop2 completed",
        "test2 completed",
        "ship1 completed",
    ]
    written = [each for fact in world.facts if isinstance(fact, StageCompleted) for each in fact.outputs]
    assert [(each.name, each.version, each.base_version) for each in written] == [
        ("source", 1, 0),
        ("report", 1, 0),
        ("source", 2, 1),
        ("report", 2, 1),
    ]


def test_a_back_edge_that_is_used_up_does_not_hold() -> None:
    world = World().run(flow(LOOP))
    for _ in range(2):
        world.complete("develop").complete("test", {"ok": False})
    world.complete("develop").complete("test", {"ok": False})
    assert world.end.status == "failed"
    assert "the way to `develop` is used up" in world.end.reason


def test_a_back_edge_holds_only_so_long_after_its_target_began() -> None:
    stages = """id: a, next: [{to: a, max_times: 9, max_time: 10s, when: "!result.ok"}, {to: b, else: true}]
    id: b"""
    world = World().run(flow(stages))
    world.now_ms += 9_000
    world.complete("a", {"ok": False})
    assert world.request("a").work.execution == 2
    world.now_ms += 9_000
    world.complete("a", {"ok": False})
    assert world.request("b")
