"""The runs role: how runs end, are cancelled, and are said in several decisions where one is too small."""

from services.orchestrator.runs import RUNS
from services.records.task import (
    AskRefused,
    RunCancelRequested,
    RunEnded,
    RunStarted,
    run_id_of,
)
from tests.services.orchestrator.run_world import WORKSPACE, World, flow


def test_an_end_stage_ends_the_run_at_once() -> None:
    stages = """id: a, next: [stop]
    id: b
    id: stop, kind: end, end: {status: cancelled}"""
    world = World().run(flow(stages)).complete("a")
    assert world.ends() == ["a1 completed", "stop1 completed", "b1 cancelled"]
    assert world.end.status == "cancelled"


def test_a_run_is_cancelled_when_asked_to_once() -> None:
    world = World().run(flow("id: a\n id: b"))
    ask = RunCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id, reason="enough")
    world.ask(ask, "c1")
    assert world.ends() == ["a1 cancelled", "b1 cancelled"]
    assert (world.end.status, world.end.reason) == ("cancelled", "enough")
    world.ask(ask, "c1")
    assert world.last == []
    world.ask(ask, "c2")
    assert isinstance(world.last[0], AskRefused)


def test_a_run_of_another_workspace_cannot_be_cancelled() -> None:
    world = World().run(flow("id: a"))
    world.ask(RunCancelRequested(workspace_id="other", run_id=world.run_id))
    assert world.types() == ["AskRefused"]
    assert world.live is not None


def test_a_run_has_a_timeout() -> None:
    world = World().run(flow("id: a", "timeout: 1m\n"))
    world.wake()
    assert world.end.status == "failed"
    assert "timeout" in world.end.reason


def test_a_stage_cancels_others_when_it_completes() -> None:
    stages = """id: s, next: [a, lint, scan]
    id: a, cancel: [lint, scan], next: [j]
    id: lint, next: [j]
    id: scan, next: [j]
    id: j"""
    world = World().run(flow(stages)).complete("s").complete("lint").complete("a")
    assert world.ends() == ["s1 completed", "lint1 completed", "a1 completed", "scan1 cancelled"]
    assert [type(fact).__name__ for fact in world.last].count("CancelRequested") == 1
    assert world.complete("j").end.status == "completed"


def test_more_than_a_decision_holds_is_said_in_several() -> None:
    names = [f"b{n}" for n in range(500)]
    stages = "\n".join([f"id: a, next: [{', '.join(names)}]", *[f"id: {name}, next: [j]" for name in names], "id: j"])
    world = World(checked=False).run(flow(stages)).complete("a")
    world.complete("b0")
    world.go_on()
    assert len(world.open_requests()) == 499
    for name in names[1:]:
        world.complete(name)
    world.complete("j")
    assert world.end.status == "completed"


def test_a_wide_run_that_fails_is_cancelled_in_several_decisions() -> None:
    stages = "\n".join(["id: a", *[f"id: b{n}" for n in range(600)]])
    world = World(checked=False).run(flow(stages)).go_on().fail("a")
    assert world.live is not None
    world.go_on()
    assert world.live is None
    assert sum(line.endswith("cancelled") for line in world.ends()) == 600


def test_a_run_whose_definition_is_lost_fails_and_leaves_nothing_behind() -> None:
    world = World().run(flow("id: a\n id: b\n id: w, kind: wait, wait: {for: 1h}"))
    world.blobs.clear()
    world.complete("a")
    assert "no longer in the blob store" in world.end.reason
    assert world.types() == ["CancelRequested", "CancelRequested", "RunEnded"]
    assert len(RUNS.deadlines(world.state)) == 0


def test_the_id_of_a_run_follows_from_its_ask() -> None:
    world = World().run(flow("id: a"))
    started = world.facts[0]
    assert isinstance(started, RunStarted)
    assert started.run_id == run_id_of("ask1")
    assert not isinstance(world.last[-1], RunEnded)
