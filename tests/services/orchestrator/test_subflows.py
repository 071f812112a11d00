"""The runs role: workflows inside a run, once or for each item of a map."""

import json

import pytest

from services.orchestrator import turn
from services.orchestrator.runs import RUNS
from services.records.content import Read
from services.records.task import CancelRequested, RunRefused, StageCompleted, StageStarted
from tests.services.orchestrator.run_world import World, flow


def nested(outer: str, inner: str, head: str = "", inner_head: str = "") -> str:
    """A workflow of one stage a line, and the one that `sub` names."""
    text = flow(inner, inner_head).replace("id: x\n", "", 1).replace("\n", "\n    ")
    return f"{flow(outer, head)}subflows:\n  sub:\n    {text.strip()}\n"


def steps(world: World) -> list[str]:
    """What is asked for: `stage[item]`."""
    asked = [each.work for each in world.open_requests()]
    return [f"{work.stage}[{work.item}]" if work.item >= 0 else work.stage for work in asked]


def step(world: World, stage: str, item: int = -1, result: object = None, **outputs: object) -> World:
    asked = next(each for each in world.open_requests() if (each.work.stage, each.work.item) == (stage, item))
    written = {name: f"{name} {item}" for name in asked.work.outputs} | outputs
    return world.report(asked, {} if result is None else result, written)


OUTER = """id: plan, output: [plan], next: [make]
id: make, kind: subflow, subflow: {id: sub, inputs: {task: plan}, outputs: {product: thing}}, next: [ship]
id: ship, input: [product]"""
INNER = """id: build, input: [task], output: [thing], next: [test]
id: test, input: [thing], next: [{to: build, when: "!result.ok", max_times: 3}, {to: done, else: true}]
id: done"""


def test_a_subflow_runs_inside_with_what_it_is_handed_and_hands_out_what_it_made() -> None:
    world = World().run(nested(OUTER, INNER)).complete("plan", plan="a plan")
    assert world.types() == ["StageCompleted", "StageStarted", "TaskRequested"]
    work = world.request("make/build").work
    assert [(each.name, each.inline) for each in work.inputs] == [("task", b"a plan")]
    assert (work.execution, work.ordinal, work.item) == (1, 1, -1)
    step(world, "make/build", thing="bad")
    step(world, "make/test", result={"ok": False})
    again = world.request("make/build").work
    assert (again.execution, again.ordinal) == (2, 2)
    step(world, "make/build", thing="good")
    step(world, "make/test", result={"ok": True})
    step(world, "make/done")
    assert [(each.name, each.version, each.inline) for each in world.request("ship").work.inputs] == [
        ("product", 1, b"good")
    ]
    assert world.complete("ship").end.status == "completed"
    assert world.ends() == [
        "plan1 completed",
        "make/build1 completed",
        "make/test1 completed",
        "make/build2 completed",
        "make/test2 completed",
        "make/done1 completed",
        "make1 completed",
        "ship1 completed",
    ]


def test_what_is_written_inside_is_called_by_its_path_and_versioned_over_the_run() -> None:
    loop = OUTER.replace("next: [ship]", 'next: [{to: make, when: "false", max_times: 1}, {to: ship, else: true}]')
    world = World().run(nested(loop, INNER)).complete("plan")
    asked = world.request("make/build")
    report = world.completion(asked, "{}", ())
    task = asked.work.inputs[0]
    reads = (Read(name=task.name, version=task.version, digest=task.digest),)
    world.hear(report.model_copy(update={"reads": reads, "outputs": world.contents(thing="x")}))
    ended = world.last[0]
    assert isinstance(ended, StageCompleted)
    assert [(each.name, each.version, each.base_version) for each in ended.outputs] == [("make/thing", 1, 0)]
    assert [(each.name, each.version) for each in ended.reads] == [("make/task", 1)]
    assert [(each.name, each.version) for each in world.request("make/test").work.inputs] == [("thing", 1)]


def test_a_subflow_in_a_loop_begins_anew_with_its_limits_and_artifacts_and_counts_on() -> None:
    outer = """id: make, kind: subflow, subflow: {id: sub, outputs: {thing: thing}}, next: [check]
    id: check, input: [thing], next: [{to: make, when: "!result.ok", max_times: 2}, {to: done, else: true}]
    id: done"""
    inner = """id: build, output: [thing], input: [{name: note, optional: true}], next: [test]
    id: test, output: [note], next: [{to: build, when: "!result.ok", max_times: 1}, {to: fine, else: true}]
    id: fine"""
    world = World().run(nested(outer, inner))
    for execution, ordinal, names in ((1, 1, []), (2, 2, ["note"])):
        work = world.request("make/build").work
        assert (work.execution, work.ordinal, [each.name for each in work.inputs]) == (execution, ordinal, names)
        step(world, "make/build")
        step(world, "make/test", result={"ok": execution == 2})
    step(world, "make/fine").complete("check", {"ok": False})
    work = world.request("make/build").work
    assert (work.execution, work.ordinal, [each.name for each in work.inputs]) == (3, 3, [])
    step(world, "make/build")
    assert [each.version for each in world.request("make/test").work.inputs] == []
    step(world, "make/test", result={"ok": False})
    assert world.request("make/build").work.execution == 4
    step(world, "make/build")
    step(world, "make/test", result={"ok": True})
    step(world, "make/fine").complete("check", {"ok": True}).complete("done")
    assert world.end.status == "completed"
    written = [(e.name, e.version) for f in world.facts if isinstance(f, StageCompleted) for e in f.outputs]
    assert [version for name, version in written if name == "make/thing"] == [1, 2, 3, 4]
    assert [version for name, version in written if name == "thing"] == [1, 2]


def test_subflows_inside_subflows() -> None:
    outer = "id: s, kind: subflow, subflow: {id: sub, inputs: {a: topic}, outputs: {out: c}}"
    text = nested(outer, "id: t, kind: subflow, subflow: {id: deep, inputs: {b: a}, outputs: {c: d}}")
    text += "  deep:\n    stages:\n      - {id: u, profession: p, input: [b], output: [d]}\n"
    world = World().run(text, topic="tea")
    assert [each.inline for each in world.request("s/t/u").work.inputs] == [b"tea"]
    step(world, "s/t/u", d="done")
    assert world.ends() == ["s/t/u1 completed", "s/t1 completed", "s1 completed"]
    last = [f for f in world.facts if isinstance(f, StageCompleted)][-1]
    assert [(each.name, each.inline) for each in last.outputs] == [("out", b"done")]


def test_defaults_of_the_inner_workflow_stand_for_what_it_is_not_handed() -> None:
    outer = "id: s, kind: subflow, subflow: {id: sub}"
    world = World().run(nested(outer, "id: a, input: [n]", inner_head="inputs: {n: {type: integer, default: 3}}\n"))
    assert [(each.name, each.inline) for each in world.request("s/a").work.inputs] == [("n", b"3")]


def test_a_definition_without_the_workflow_that_it_names_is_refused() -> None:
    world = World().run(flow("id: s, kind: subflow, subflow: {file: other.yaml}"))
    (refused,) = world.last
    assert isinstance(refused, RunRefused)
    assert "runs other.yaml, which `subflows` does not have" in refused.reason


# Ends.


def test_a_stage_that_fails_inside_fails_the_subflow_and_cancels_what_is_under_way_in_it() -> None:
    outer = """id: s, kind: subflow, subflow: {id: sub}, on_error: {to: mend, when: "error.code == 'error'"}, next: [ok]
    id: ok
    id: mend"""
    world = World().run(nested(outer, "id: a\nid: b\nid: c")).fail("s/b")
    assert world.ends()[:4] == ["s/b1 failed", "s/a1 cancelled", "s/c1 cancelled", "s1 failed"]
    assert sum(isinstance(fact, CancelRequested) for fact in world.facts) == 2
    assert steps(world) == ["mend"]
    assert world.complete("mend").end.status == "completed"


def test_a_subflow_that_fails_without_a_way_on_fails_the_run() -> None:
    world = World().run(nested("id: s, kind: subflow, subflow: {id: sub}\nid: o", "id: a")).fail("s/a")
    assert world.end.reason == "`s` failed: `s/a` failed: it broke"
    assert world.ends() == ["s/a1 failed", "s1 failed", "o1 cancelled"]


@pytest.mark.parametrize(
    ("status", "says"), [("completed", "completed"), ("failed", "skipped"), ("cancelled", "cancelled")]
)
def test_an_end_stage_inside_ends_the_subflow_alone(status: str, says: str) -> None:
    outer = """id: s, kind: subflow, subflow: {id: sub}, on_error: skip, next: [j]
    id: o, next: [j]
    id: j, join: active"""
    inner = f"id: a, next: [stop]\nid: b\nid: stop, kind: end, end: {{status: {status}}}"
    world = World().run(nested(outer, inner))
    step(world, "s/a")
    assert world.ends()[-2:] == ["s/b1 cancelled", f"s1 {says}"]
    world.complete("o").complete("j")
    assert world.end.status == "completed"


def test_a_subflow_is_cancelled_with_all_that_is_in_it() -> None:
    outer = """id: s, kind: subflow, subflow: {id: sub}, next: [j]
    id: a, cancel: [s], next: [j]
    id: j"""
    wide = "\n".join(f"id: i{n}" for n in range(300))
    world = World().run(nested(outer, wide)).go_on().complete("a").go_on()
    assert "s1 cancelled" in world.ends()
    assert len([line for line in world.ends() if line.endswith("cancelled")]) == 301
    assert world.complete("j").end.status == "completed"


def test_a_run_that_is_cancelled_ends_from_the_inside() -> None:
    text = nested("id: s, kind: subflow, subflow: {id: sub}\nid: b", "id: t, kind: subflow, subflow: {id: deep}")
    text += "  deep:\n    stages:\n      - {id: u, profession: p}\n"
    world = World().run(text).fail("b")
    assert world.ends() == ["b1 failed", "s/t/u1 cancelled", "s/t1 cancelled", "s1 cancelled"]


@pytest.mark.parametrize(
    ("outer", "inner"), [("timeout: 1m", ""), ("", "timeout: 1m\n"), ("timeout: 2m", "timeout: 1m\n")]
)
def test_a_subflow_has_a_timeout(outer: str, inner: str) -> None:
    stage = "id: s, kind: subflow, subflow: {id: sub}" + (f", {outer}" if outer else "")
    world = World().run(nested(stage, "id: a", inner_head=inner))
    start = world.now_ms
    world.wake()
    assert world.now_ms == start + 60_000
    world.go_on()
    assert world.end.reason == "`s` failed: it did not end within its timeout"
    assert len(RUNS.deadlines(world.state)) == 0


def test_time_that_comes_inside_a_subflow_that_ends_changes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "FACTS_MAX", 1)
    inner = "\n".join([f"id: w{n}, kind: wait, wait: {{for: 1s}}" for n in range(4)])
    world = World().run(nested("id: s, kind: subflow, subflow: {id: sub}, on_error: skip\nid: a, cancel: [s]", inner))
    world.go_on().complete("a")
    world.now_ms += 1_000
    world.go_on()
    assert world.end.status == "completed"
    assert [line for line in world.ends() if "completed" in line] == ["a1 completed"]


# Mutexes.


def test_a_mutex_on_a_subflow_is_held_throughout_and_not_waited_for_inside() -> None:
    outer = "id: s, kind: subflow, mutex: repo, subflow: {id: sub}\nid: o, mutex: repo"
    world = World().run(nested(outer, "id: a, mutex: repo, next: [b]\nid: b, mutex: repo"))
    assert steps(world) == ["s/a"]
    step(world, "s/a")
    assert steps(world) == ["s/b"]
    step(world, "s/b")
    assert steps(world) == ["o"]
    assert world.complete("o").end.status == "completed"


def test_a_mutex_holds_across_the_levels_of_a_run() -> None:
    outer = "id: o, mutex: repo\nid: s, kind: subflow, subflow: {id: sub}"
    world = World().run(nested(outer, "id: a, mutex: repo"))
    assert steps(world) == ["o"]
    assert world.complete("o").request("s/a")


def test_executions_of_one_subflow_run_one_after_the_other() -> None:
    outer = """id: a, next: [s]
    id: b, next: [s]
    id: s, kind: subflow, join: each, subflow: {id: sub}"""
    world = World().run(nested(outer, "id: i")).complete("a").complete("b")
    assert [(asked.work.stage, asked.work.execution) for asked in world.open_requests()] == [("s/i", 1)]
    step(world, "s/i")
    assert [(asked.work.stage, asked.work.execution) for asked in world.open_requests()] == [("s/i", 2)]
    step(world, "s/i")
    assert world.ends()[-4:] == ["s/i1 completed", "s1 completed", "s/i2 completed", "s2 completed"]


# Maps.

MAPPED = """id: s, kind: subflow, map: {over: files, as: file, collect: all, max_parallel: 2}, subflow: {id: sub, inputs: {f: file}, outputs: {text: t}}, next: [n]
id: n, input: [all]"""  # noqa: E501


def test_each_item_goes_through_the_subflow_on_its_own() -> None:
    world = World().run(
        nested(MAPPED, "id: a, input: [f], output: [t], next: [b]\nid: b, input: [t]"), files=["x", "y", "z"]
    )
    assert steps(world) == ["s/a[0]", "s/a[1]"]
    step(world, "s/a", 1, t="about y")
    step(world, "s/b", 1)
    assert steps(world) == ["s/a[0]", "s/a[2]"]
    assert [each.inline for each in world.open_requests()[1].work.inputs] == [b"z"]
    step(world, "s/a", 2, t="about z")
    step(world, "s/a", 0, t="about x")
    step(world, "s/b", 0)
    step(world, "s/b", 2)
    data = world.request("n").work.inputs[0].inline
    assert json.loads(data or b"") == ["about x", "about y", "about z"]
    assert world.ends()[:4] == ["s/a1[1] completed", "s/b1[1] completed", "s1[1] completed", "s/a1[2] completed"]
    assert world.complete("n").end.status == "completed"


def test_an_item_whose_subflow_fails_is_left_out_or_fails_the_map() -> None:
    inner = "id: a, input: [f], output: [t], next: [b]\nid: b"
    world = World().run(nested(MAPPED.replace("next: [n]", "on_error: skip, next: [n]"), inner), files=["x", "y"])
    asked = next(each for each in world.open_requests() if each.work.item == 0)
    world.fail_attempt(asked, "error", "no")
    step(world, "s/a", 1)
    step(world, "s/b", 1)
    assert json.loads(world.request("n").work.inputs[0].inline or b"") == [None, "t 1"]
    failed = World().run(nested(MAPPED, inner), files=["x", "y"])
    failed.fail_attempt(failed.open_requests()[0], "error", "no")
    assert failed.end.reason == "`s` failed: item 0 failed: `s/a` failed: no"
    assert failed.ends() == ["s/a1[0] failed", "s1[0] failed", "s/a1[1] cancelled", "s1[1] cancelled", "s1 failed"]


def test_a_mutex_inside_is_one_for_all_items() -> None:
    world = World().run(nested(MAPPED, "id: a, input: [f], output: [t], mutex: repo"), files=["x", "y", "z"])
    assert steps(world) == ["s/a[0]"]
    step(world, "s/a", 0)
    assert steps(world) == ["s/a[1]"]
    step(world, "s/a", 1)
    step(world, "s/a", 2)
    assert world.complete("n").end.status == "completed"


def test_an_inner_stage_of_an_item_says_which_item_it_is_of() -> None:
    world = World().run(
        nested(MAPPED, "id: w, kind: wait, wait: {for: 1s}, next: [a]\nid: a, input: [f], output: [t]"), files=["x"]
    )
    waits = [fact for fact in world.facts if isinstance(fact, StageStarted)]
    assert [(fact.stage, fact.item, fact.waits_for) for fact in waits] == [
        ("s", -1, "items"),
        ("s", -1, "items"),
        ("s", 0, "subflow"),
        ("s/w", 0, "time"),
    ]
    world.wake()
    assert steps(world) == ["s/a[0]"]


def test_a_map_over_a_subflow_in_a_loop_counts_the_executions_of_each_item() -> None:
    outer = """id: s, kind: subflow, map: {over: files}, subflow: {id: sub, inputs: {f: item}}, next: [c]
    id: c, next: [{to: s, when: "!result.ok", max_times: 1}, {to: d, else: true}]
    id: d"""
    world = World().run(nested(outer, "id: a, input: [f]"), files=["x", "y"])
    step(world, "s/a", 1)
    step(world, "s/a", 0)
    world.complete("c", {"ok": False})
    asked = [each.work for each in world.open_requests()]
    assert [(work.stage, work.item, work.execution, work.ordinal) for work in asked] == [
        ("s/a", 0, 2, 3),
        ("s/a", 1, 2, 4),
    ]
