"""The runs role: attempts that fail, are lost or come late, and what a stage says of errors."""

import pytest

from services.records.task import (
    ArtifactsConflicted,
    AttemptFailed,
    CancelRequested,
    ResultRefused,
    StageCompleted,
    StageEnded,
    TaskLost,
    TaskRequested,
)
from tests.services.orchestrator.run_world import WORKSPACE, World, flow


def test_a_lost_worker_is_tried_again_and_an_error_is_not() -> None:
    world = World().run(flow("id: a")).fail("a", "worker_lost")
    (failed,) = world.last
    assert isinstance(failed, AttemptFailed)
    assert failed.retry_at_ms - world.now_ms in range(900, 1_101)
    assert world.types() == ["AttemptFailed"]
    assert world.open_requests() == []
    world.wake()
    asked = world.request("a")
    assert (asked.attempt, asked.work.execution, asked.work.ordinal) == (2, 1, 2)
    world.fail("a", "error", "no disk")
    assert world.ends() == ["a1 failed"]
    assert world.end.reason == "`a` failed: no disk"


def test_retries_back_off_and_end() -> None:
    world = World().run(
        flow("id: a, retry: {max_attempts: 4, backoff: 1s, factor: 3, max_backoff: 5s, jitter: 0, on: error}")
    )
    waits = []
    for _ in range(3):
        world.fail("a")
        (failed,) = world.last
        assert isinstance(failed, AttemptFailed)
        waits.append(failed.retry_at_ms - world.now_ms)
        world.wake()
    assert waits == [1_000, 3_000, 5_000]
    world.fail("a")
    ended = next(fact for fact in world.last if isinstance(fact, StageEnded))
    assert (ended.attempts, ended.code) == (4, "error")


def test_what_the_roster_has_lost_is_tried_again_by_its_code() -> None:
    world = World().run(flow("id: a, retry: {on: [timeout]}"))
    asked = world.request("a")
    lost = TaskLost(
        workspace_id=WORKSPACE,
        run_id=world.run_id,
        task_id=asked.task_id,
        attempt_id=asked.attempt_id,
        code="queue_timeout",
        reason="nobody took it",
    )
    world.hear(lost)
    assert world.types() == ["AttemptFailed"]
    world.hear(lost)
    assert world.types() == []


def test_a_late_result_is_refused_once() -> None:
    world = World().run(flow("id: a"))
    first = world.request("a")
    world.fail("a", "worker_lost").wake()
    world.report(first, {}, {})
    (refused,) = world.last
    assert isinstance(refused, ResultRefused)
    assert refused.attempt_id == first.attempt_id
    world.report(first, {}, {})
    assert world.last == []
    world.complete("a")
    assert world.end.status == "completed"
    world.report(world.facts[1] if isinstance(world.facts[1], TaskRequested) else first, {"late": True}, {})
    assert world.last == []


def test_a_report_that_was_judged_and_comes_again_says_nothing() -> None:
    """Its facts would have the ids of the judgement: an append of unknown outcome is repeated with its id."""
    world = World().run(flow("id: a, next: [b]\nid: b, retry: {max_attempts: 2, backoff: 1s}"))
    a = world.request("a")
    world.report(a, {}, {})
    assert world.report(a, {}, {}).last == []
    b = world.request("b")
    bad = world.completion(b, "{")
    world.hear(bad)
    assert "AttemptFailed" in world.types()
    world.hear(bad)
    assert world.last == []
    world.wake()
    world.complete("b")
    assert world.end.status == "completed"
    for again in (a, b):
        assert world.report(again, {}, {}).last == []


def test_a_result_of_a_run_that_has_ended_is_refused() -> None:
    world = World().run(flow("id: a\n id: b"))
    b = world.request("b")
    world.fail("a")
    assert world.end.status == "failed"
    assert world.report(b, {}, {}).types() == ["ResultRefused"]


@pytest.mark.parametrize("result", ["[" * 20_000, '"' + "x" * 40_000 + '"', "{"])
def test_a_result_that_cannot_be_judged_fails_the_attempt(result: str) -> None:
    world = World().run(flow("id: a"))
    world.hear(world.completion(world.request("a"), result))
    assert world.end.status == "failed"
    assert "the result" in world.end.reason


# Failures.


def test_a_failure_ends_the_run_and_cancels_what_is_under_way() -> None:
    world = World().run(flow("id: a, next: [c]\n id: b, next: [c]\n id: c"))
    b = world.request("b")
    world.fail("a")
    assert world.types() == ["StageEnded", "RunEnding", "StageEnded", "CancelRequested", "RunEnded"]
    assert world.ends() == ["a1 failed", "b1 cancelled"]
    cancel = next(fact for fact in world.last if isinstance(fact, CancelRequested))
    assert cancel.attempt_id == b.attempt_id


def test_on_error_skip_goes_on_without_the_stage() -> None:
    stages = """id: s, next: [a, b]
    id: a, on_error: skip, next: [j]
    id: b, next: [j]
    id: j"""
    world = World().run(flow(stages)).complete("s").fail("a").complete("b").complete("j")
    assert world.ends() == ["s1 completed", "a1 skipped", "b1 completed", "j1 completed"]
    assert world.end.status == "completed"


def test_on_error_may_lead_to_another_stage_by_what_went_wrong() -> None:
    stages = """id: a, on_error: [{to: late, when: "error.code == 'timeout'"}, {to: broken}], next: [ok]
    id: ok
    id: late
    id: broken"""
    world = World().run(flow(stages)).fail("a", "timeout")
    assert [asked.work.stage for asked in world.open_requests()] == ["late"]
    assert world.ends() == ["a1 failed", "ok1 skipped", "broken1 skipped"]
    assert world.complete("late").end.status == "completed"
    well = World().run(flow(stages)).complete("a")
    assert [asked.work.stage for asked in well.open_requests()] == ["ok"]


def test_a_missing_input_fails_the_stage_that_needs_it() -> None:
    stages = """id: a, output: [x], next: [b]
    id: b, input: [x]"""
    world = World().run(flow(stages))
    world.report(world.request("a"), {}, {})
    assert world.ends() == ["a1 completed", "b1 failed"]
    assert "`b` lacks its input `x`" in world.end.reason


def test_two_writers_of_one_base_conflict() -> None:
    stages = "id: a, output: [r], next: [c]\n id: b, output: [r], next: [c]\n id: c"
    world = World().run(flow(stages)).complete("a").complete("b")
    conflict = next(fact for fact in world.last if isinstance(fact, ArtifactsConflicted))
    assert (conflict.name, conflict.base_version, conflict.kept, conflict.stage) == ("r", 0, 1, "b")
    assert world.end.status == "failed"
    both = World().run(flow(stages, "on_conflict: keep_both\n")).complete("a").complete("b")
    ended = next(fact for fact in both.last if isinstance(fact, StageCompleted))
    assert [(each.version, each.base_version) for each in ended.outputs] == [(2, 0)]
    assert both.request("c")
