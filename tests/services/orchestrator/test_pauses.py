"""A paused run begins nothing and its times stand still; what was under way ends. And tasks are cancelled."""

from services.orchestrator.runs import RUNS
from services.records.task import (
    AskRefused,
    CancelRequested,
    RunCancelRequested,
    RunPaused,
    RunPauseRequested,
    RunResumed,
    RunResumeRequested,
    SignalRequested,
    StageEnded,
    TaskCancelRequested,
    TaskRequested,
)
from tests.services.orchestrator.run_world import WORKSPACE, World, flow

LINE = flow("id: a, next: [b]\nid: b")


def pause(world: World) -> World:
    world.ask(RunPauseRequested(workspace_id=WORKSPACE, run_id=world.run_id))
    return world


def resume(world: World) -> World:
    world.ask(RunResumeRequested(workspace_id=WORKSPACE, run_id=world.run_id))
    return world.go_on()


def cancel(world: World, stage: str) -> World:
    assert world.live is not None
    task_id = next(e.task_id for e in world.live.open.values() if e.stage == stage)
    world.ask(TaskCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id, task_id=task_id, reason="enough"))
    return world


def refusal(world: World) -> str:
    (fact,) = world.last
    assert isinstance(fact, AskRefused), fact
    return fact.reason


def test_what_is_under_way_ends_and_what_follows_waits() -> None:
    world = pause(World().run(LINE))
    assert isinstance(world.last[0], RunPaused)
    world.complete("a").go_on()
    assert world.ends() == ["a1 completed"]
    assert not world.open_requests()
    resume(world)
    assert any(isinstance(fact, RunResumed) for fact in world.facts)
    world.complete("b")
    assert world.end.status == "completed"


def test_times_of_a_paused_run_stand_still() -> None:
    world = World().run("id: x\ntimeout: 1h\nstages:\n  - {id: w, kind: wait, wait: {for: 10m}}\n")
    world.now_ms += 4 * 60_000
    pause(world)
    assert RUNS.deadlines(world.state).first() is None
    world.now_ms += 5 * 3_600_000
    resume(world)
    assert {name.split("/")[0]: at - world.now_ms for name, at in RUNS.deadlines(world.state)} == {
        "timeout": 56 * 60_000,
        "wait": 6 * 60_000,
    }
    world.wake()
    assert world.end.status == "completed"


def test_a_date_is_not_put_off() -> None:
    world = World().run("id: x\nstages:\n  - {id: w, kind: wait, wait: {until: 2023-11-14T23:13:20Z}}\n")
    date = RUNS.deadlines(world.state).first()
    pause(world)
    world.now_ms += 60_000
    resume(world)
    assert RUNS.deadlines(world.state).first() == date


def test_an_attempt_that_failed_is_tried_again_when_the_run_goes_on() -> None:
    world = pause(World().run(flow("id: a, retry: {on: [error], backoff: 10s, jitter: 0}")))
    world.fail("a")
    assert RUNS.deadlines(world.state).first() is None
    world.now_ms += 3_600_000
    resume(world)
    (first,) = [at for _, at in RUNS.deadlines(world.state)]
    assert first == world.now_ms + 10_000
    world.wake()
    world.complete("a")
    assert world.end.status == "completed"


def test_signals_count_while_a_run_is_paused() -> None:
    world = pause(World().run(flow("id: w, kind: wait, wait: {signal: go}, next: [b]\nid: b")))
    world.ask(SignalRequested(workspace_id=WORKSPACE, run_id=world.run_id, signal="go"))
    assert world.ends() == ["w1 completed"]
    assert not world.open_requests()
    resume(world).complete("b")
    assert world.end.status == "completed"


def test_a_map_begins_no_further_item() -> None:
    world = World().run(flow("id: m, map: {over: l, max_parallel: 1}"), l=["p", "q"]).go_on()
    pause(world).complete("m").go_on()
    assert not world.open_requests()
    resume(world).complete("m").go_on()
    assert world.end.status == "completed"


def test_a_paused_run_can_be_cancelled() -> None:
    world = pause(World().run(LINE))
    world.ask(RunCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id))
    assert world.end.status == "cancelled"


def test_who_asks_for_what_is_so_already_is_told() -> None:
    world = World().run(LINE)
    world.ask(RunResumeRequested(workspace_id=WORKSPACE, run_id=world.run_id))
    assert "is not paused" in refusal(world)
    pause(pause(world))
    assert "is paused already" in refusal(world)
    world.ask(RunPauseRequested(workspace_id="other", run_id=world.run_id))
    assert "has no run" in refusal(world)


def test_a_cancelled_task_is_withdrawn_and_its_way_on_skipped() -> None:
    world = cancel(
        World().run(flow("id: s, next: [a, b]\nid: a, next: [j]\nid: b, next: [j]\nid: j")).complete("s"), "a"
    )
    assert any(isinstance(fact, CancelRequested) for fact in world.last)
    (ended,) = [fact for fact in world.last if isinstance(fact, StageEnded)]
    assert (ended.status, ended.reason) == ("cancelled", "enough")
    world.complete("b").complete("j")
    assert world.end.status == "completed"


def test_a_cancelled_task_of_the_only_way_skips_the_rest() -> None:
    world = cancel(World().run(LINE), "a")
    assert world.ends() == ["a1 cancelled", "b1 skipped"]
    assert world.end.status == "completed"


def test_a_cancelled_map_ends_with_its_items() -> None:
    world = World().run(flow("id: m, map: {over: l}, next: [e]\nid: e"), l=["p", "q"]).go_on()
    assert world.live is not None
    whole = next(e.task_id for e in world.live.open.values() if e.parts)
    world.ask(TaskCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id, task_id=whole))
    world.go_on()
    assert sorted(world.ends()) == ["e1 skipped", "m1 cancelled", "m1[0] cancelled", "m1[1] cancelled"]


def test_the_same_ask_heard_twice_cancels_once() -> None:
    world = World().run(flow("id: s, next: [a, b]\nid: a\nid: b")).complete("s")
    task_id = world.request("a").task_id
    ask = TaskCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id, task_id=task_id)
    world.ask(ask, "twice")
    world.ask(ask, "twice")
    assert world.last == []
    world.ask(ask, "again")
    assert "no task" in refusal(world)
    assert [f.work.stage for f in world.facts if isinstance(f, TaskRequested)] == ["s", "a", "b"]
