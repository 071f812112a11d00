"""Forks and reruns: what was done stands, what was under way is asked for anew, what cannot go together is refused."""

import json

import pytest

from bus.digest import digest_of
from services.orchestrator import fork as forking
from services.orchestrator import reuse
from services.records.fork import ForkPlanned, RunForkRequested, StateReused
from services.records.task import (
    RunCancelRequested,
    RunFound,
    RunRefused,
    RunStarted,
    SignalRequested,
    StageCompleted,
    StageStarted,
    TaskRequested,
    run_id_of,
)
from tests.services.orchestrator.run_world import WORKSPACE, World, content, flow

LINE = flow(
    """
    id: a, output: [x], next: [b]
    id: b, input: [x], output: [y], next: [c]
    id: c, input: [x, y], output: [z]
    """
)


def fork(world: World, *, text: str = "", dry_run: bool = False, key: str = "", **more: object) -> World:
    """Ask for a fork of the run that the world is about; it is about the fork from then on."""
    inputs = tuple(content(name, value) for name, value in dict(more.pop("inputs", {})).items())  # type: ignore[call-overload]
    ask = RunForkRequested(
        workspace_id=WORKSPACE,
        run_id=world.run_id,
        definition=world.asking(text).definition if text else "",
        inputs=inputs,
        dry_run=dry_run,
        idempotency_key=key,
        **more,  # type: ignore[arg-type]
    )
    run_id = run_id_of(world.ask(ask))
    if not dry_run and any(isinstance(fact, RunStarted) for fact in world.last):
        world.run_id = run_id
        world.go_on()
    return world


def refusal(world: World) -> str:
    (fact,) = world.last
    assert isinstance(fact, RunRefused), fact
    return fact.reason


def asked_of(world: World) -> list[str]:
    """What is asked of workers in the run that the world is about."""
    return [f.work.stage for f in world.facts if isinstance(f, TaskRequested) and f.work.run_id == world.run_id]


def done() -> World:
    return World().run(LINE).complete("a", x="X").complete("b", y="Y").complete("c")


def test_a_rerun_asks_only_for_what_comes_from_the_stage_on() -> None:
    world = done()
    old = world.run_id
    fork(world, stage="b")
    assert asked_of(world) == ["b"]
    world.complete("b", y="Y2").complete("c")
    assert world.end.status == "completed"
    assert asked_of(world) == ["b", "c"]
    (c,) = [f for f in world.facts if isinstance(f, TaskRequested) and f.work.stage == "c" and f.work.run_id != old]
    assert {each.name: (each.version, each.inline) for each in c.work.inputs} == {"x": (1, b"X"), "y": (1, b"Y2")}


def test_the_first_fact_names_the_old_state() -> None:
    world = World().run(LINE).complete("a")
    old = world.state.live[world.run_id]
    point = len(world.facts) - 1
    world.complete("b").complete("c")
    fork(world, offset=point)
    started = next(f for f in world.facts if isinstance(f, RunStarted) and f.run_id == world.run_id)
    assert started.fork is not None
    assert (started.fork.run_id, started.fork.offset, started.fork.digest) == (old.run_id, point, digest_of(old))


def test_an_offset_inside_a_decision_means_its_end() -> None:
    world = done()
    completed = next(f for f in world.facts if isinstance(f, StageCompleted) and f.stage == "a")
    fork(world, offset=world.offset_of(completed))  # b was asked for in the same decision, behind it
    assert asked_of(world) == ["b"]


def test_a_run_under_way_can_be_forked_and_is_not_touched() -> None:
    world = World().run(LINE).complete("a")
    old, before = world.run_id, world.state.live[world.run_id]
    fork(world, stage="b")
    assert world.state.live[old] is before
    assert asked_of(world) == ["b"]


def test_the_same_attempt_is_asked_for_so_that_a_script_goes_on_where_it_was() -> None:
    loop = flow("id: a, next: [{to: a, when: 'result.again', max_times: 5}, {to: b, else: true}]\nid: b")
    world = (
        World().run(loop).complete("a", {"again": True}).complete("a", {"again": True}).complete("a", {"again": False})
    )
    fork(world, stage="a", execution=2)
    assert (world.request("a").work.execution, world.request("a").work.ordinal) == (2, 2)
    world.complete("a", {"again": True}).complete("a", {"again": False}).complete("b")
    assert world.end.status == "completed"


def test_without_an_execution_the_last_one_is_meant_and_rounds_go_on_counting() -> None:
    loop = flow("id: a, next: [{to: a, when: 'true', max_times: 2}, {to: b, else: true}]\nid: b")
    world = World().run(loop).complete("a").complete("a").complete("a").complete("b")
    fork(world, stage="a")
    assert world.request("a").work.execution == 3
    world.complete("a").complete("b")
    assert world.end.status == "completed"


def test_branches_beside_it_keep_what_they_have_done() -> None:
    split = flow(
        "id: s, next: [l, r]\nid: l, output: [p], next: [j]\nid: r, output: [q], next: [j]\nid: j, input: [p, q]"
    )
    world = World().run(split).complete("s").complete("l").complete("r").complete("j")
    r = next(f for f in world.facts if isinstance(f, StageCompleted) and f.stage == "l")
    fork(world, offset=world.offset_of(r))
    assert asked_of(world) == ["r"]  # l was through, r was under way
    world.complete("r").complete("j")
    assert world.end.status == "completed"


def test_a_changed_input_is_the_newest_version_of_its_name() -> None:
    text = flow("id: a, input: [q], next: [b]\nid: b, input: [q]", head="inputs: {q: {type: string}}\n")
    world = World().run(text, q="old").complete("a").complete("b")
    fork(world, stage="b", inputs={"q": "new"})
    (got,) = world.request("b").work.inputs
    assert (got.version, got.inline, got.base_version) == (2, b"new", 1)


def test_a_changed_definition_counts_from_the_point_on() -> None:
    world = done()
    changed = LINE.replace("output: [y], next: [c]", "output: [y], next: [d]").replace(
        "  - {id: c", "  - {id: d, profession: other, input: [y], output: [w], next: [c]}\n  - {id: c"
    )
    fork(world, text=changed, stage="b")
    world.complete("b").complete("d").complete("c")
    assert asked_of(world) == ["b", "d", "c"]
    assert world.end.status == "completed"


def test_tokens_stand_where_the_changed_definition_numbers_them_anew() -> None:
    text = flow("id: s, next: [l, r]\nid: l, next: [j]\nid: r, next: [j]\nid: j, join: all")
    world = World().run(text).complete("s").complete("l")
    point = len(world.facts) - 1
    world.complete("r").complete("j")
    changed = flow(
        """
        id: s, next: [l, r]
        id: r, next: [before, j]
        id: before
        id: l, next: [j]
        id: j, join: all, next: [after]
        id: after
        """
    )
    fork(world, text=changed, offset=point)
    world.complete("r").complete("before").complete("j").complete("after")
    assert world.end.status == "completed"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("next: [b]", "next: [b, c]", "`a` has ended, so its ways on cannot change"),
        ("id: a, output: [x]", "id: a, output: [x, more]", "`a` has ended without `more`"),
        ("id: c, input", "id: e}\n  - {id: c, input", "`e` would begin at the start, which is over"),
    ],
)
def test_a_definition_that_does_not_go_with_what_was_done_is_refused(old: str, new: str, said: str) -> None:
    world = done()
    fork(world, text=LINE.replace(old, new).replace("id: e}", "id: e, profession: p}"), stage="b")
    assert said in refusal(world)


def test_what_has_begun_keeps_the_ways_that_lead_to_it() -> None:
    world = done()
    fork(world, text=flow("id: a, output: [x], next: [b]\nid: n, next: [b]\nid: b"), stage="b")
    assert "`b` has begun, so what leads to it" in refusal(world)
    fork(world, text=flow("id: n, output: [x], next: [b]\nid: b"), stage="b")
    assert "`a` has run and is not in the changed definition" in refusal(world)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "name one of them"),
        ({"stage": "b", "offset": 1}, "name one of them"),
        ({"stage": "nix"}, "in which `nix` began"),
        ({"stage": "b", "execution": 7}, "in which `b` (execution 7) began"),
        ({"offset": 10_000}, "is not yet written"),
        ({"stage": "b", "inputs": {"u": "v"}}, "has no input `u`"),
    ],
)
def test_what_names_no_point_is_refused(how: dict[str, object], said: str) -> None:
    assert said in refusal(fork(done(), **how))


def test_after_the_end_there_is_nothing_to_fork() -> None:
    world = done()
    assert "has ended" in refusal(fork(world, offset=len(world.facts) - 1))


def test_another_workspace_has_no_such_run() -> None:
    world = done()
    world.ask(RunForkRequested(workspace_id="other", run_id=world.run_id, stage="b"))
    assert "workspace `other` has no run" in refusal(world)


def test_what_began_and_ended_at_once_is_refused() -> None:
    world = World().run(flow("id: a, next: [e]\nid: e, kind: end")).complete("a")
    assert "name a point before" in refusal(fork(world, stage="e"))


def test_a_dry_run_tells_and_starts_nothing() -> None:
    world = done()
    fork(world, stage="c", dry_run=True)
    (planned,) = world.last
    assert isinstance(planned, ForkPlanned)
    plan = json.loads(planned.plan.inline or b"")
    assert [each["id"] for each in plan["stages"]] == ["a", "b"]
    assert [(each["name"], each["version"]) for each in plan["artifacts"]] == [("x", 1), ("y", 1)]
    assert plan["anew"] == [{"id": "c", "execution": 1}]
    assert not world.state.live


def test_the_same_key_gives_the_same_fork() -> None:
    world = done()
    old = world.run_id
    fork(world, stage="b", key="k")
    first = world.run_id
    world.run_id = old
    fork(world, stage="b", key="k")
    (found,) = world.last
    assert isinstance(found, RunFound)
    assert found.run_id == first


def test_a_fork_can_be_forked() -> None:
    world = done()
    fork(world, stage="b").complete("b", y="Y2").complete("c")
    fork(world, stage="c")
    assert asked_of(world) == ["c"]
    assert {each.name: each.inline for each in world.request("c").work.inputs} == {"x": b"X", "y": b"Y2"}


def test_a_failed_run_goes_on_from_where_it_failed() -> None:
    world = World().run(LINE).complete("a").fail("b")
    assert world.end.status == "failed"
    fork(world, stage="b").complete("b").complete("c")
    assert world.end.status == "completed"


def test_waits_reviews_and_people_are_asked_anew() -> None:
    text = flow(
        """
        id: s, next: [w, r, h]
        id: w, kind: wait, wait: {signal: go}
        id: r, kind: review, review: {by: ["role:r"]}
        id: h, agent: human
        """
    )
    world = World().run(text).complete("s")
    old = {e.task_id for e in world.state.live[world.run_id].open.values()}
    fork(world, offset=len(world.facts) - 1)
    begun = {f.waits_for for f in world.facts if isinstance(f, StageStarted) and f.run_id == world.run_id}
    assert begun == {"signal:go", "review", "person"}
    assert not old & {e.task_id for e in world.state.live[world.run_id].open.values()}
    world.ask(SignalRequested(workspace_id=WORKSPACE, run_id=world.run_id, signal="go"))
    assert "w1 completed" in world.ends()


def test_the_items_of_a_map_that_were_through_are_not_asked_again() -> None:
    text = flow("id: m, output: [r], map: {over: l, max_parallel: 2, collect: all}, next: [e]\nid: e, input: [all]")
    world = World().run(text, l=["p", "q", "u", "v"]).go_on()
    world.complete("m", r="P").complete("m", r="Q")
    point = len(world.facts) - 1
    world.complete("m", r="U").complete("m", r="V").go_on().complete("e")
    fork(world, offset=point)
    assert sorted(each.work.item for each in world.open_requests()) == [2, 3]
    world.complete("m", r="U2").complete("m", r="V2").go_on()
    (all_,) = world.request("e").work.inputs
    assert json.loads(all_.inline or b"") == ["P", "Q", "U2", "V2"]
    world.complete("e")
    assert world.end.status == "completed"


def test_a_subflow_goes_on_inside() -> None:
    text = """
id: x
subflows: {i: {id: i, stages: [
  {id: p, profession: p, output: [m], next: [q]}, {id: q, profession: p, input: [m], output: [n]}]}}
stages:
  - {id: s, kind: subflow, subflow: {id: i, outputs: {out: n}}, next: [t]}
  - {id: t, profession: p, input: [out]}
"""
    world = World().run(text).go_on().complete("s/p", m="M").complete("s/q", n="N").go_on().complete("t").go_on()
    assert world.end.status == "completed"
    fork(world, stage="s/q")
    assert asked_of(world) == ["s/q"]
    assert [each.inline for each in world.request("s/q").work.inputs] == [b"M"]
    world.complete("s/q", n="N2").go_on()
    assert [each.inline for each in world.request("t").work.inputs] == [b"N2"]
    world.complete("t")
    assert world.end.status == "completed"


def test_a_mutex_is_held_by_who_held_it() -> None:
    text = flow("id: s, next: [l, r]\nid: l, mutex: m\nid: r, mutex: m")
    world = World().run(text).complete("s")
    fork(world, offset=len(world.facts) - 1)
    assert asked_of(world) == ["l"]
    world.complete("l").complete("r")
    assert world.end.status == "completed"


def test_a_fork_wider_than_a_decision_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "PIECES_MAX", 2)
    monkeypatch.setattr(forking, "PARTS_MAX", 1)
    world = done()
    fork(world, stage="c")
    parts = [f for f in world.facts if isinstance(f, StateReused)]
    assert len(parts) > 2
    assert [each.part for each in parts] == list(range(len(parts)))
    assert [each.is_last for each in parts] == [False] * (len(parts) - 1) + [True]
    world.complete("c")
    assert world.end.status == "completed"


def test_a_fork_that_is_cancelled_while_it_takes_over_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "PIECES_MAX", 1)
    monkeypatch.setattr(forking, "PARTS_MAX", 1)
    world = done()
    world.run_id = run_id_of(world.ask(RunForkRequested(workspace_id=WORKSPACE, run_id=world.run_id, stage="c")))
    world.ask(RunCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id))
    world.go_on()
    assert world.end.status == "cancelled"
