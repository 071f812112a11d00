"""Quality: a result that states too little is sent back once, with the reason, and is a failure the second time."""

import pytest

from services.records.task import AttemptFailed, StageEnded
from tests.services.orchestrator.run_world import World, flow

FAULT = "the result states a quality of 0.6, below the 0.85 that its profession asks for"


def state(world: World, stage: str, quality: float, threshold: float = 0.85) -> World:
    """The open attempt at a stage ends with a result that states this quality."""
    report = world.completion(world.request(stage), "{}")
    world.hear(report.model_copy(update={"quality": quality, "quality_threshold": threshold}))
    return world


def state_too_little(world: World, stage: str) -> World:
    """The same, and the next attempt is asked for."""
    state(world, stage, 0.6).wake()
    return world


@pytest.mark.parametrize("quality", [-1.0, 0.85, 1.0])
def test_a_result_that_states_enough_or_nothing_is_taken(quality: float) -> None:
    assert state(World().run(flow("id: a")), "a", quality).end.status == "completed"


def test_a_result_that_states_too_little_is_sent_back_at_once_with_the_reason() -> None:
    world = World().run(flow("id: a"))
    assert world.request("a").work.feedback == ""
    state(world, "a", 0.6)
    (failed,) = world.last
    assert isinstance(failed, AttemptFailed)
    assert (failed.code, failed.reason, failed.retry_at_ms) == ("quality", FAULT, world.now_ms)
    world.wake()
    again = world.request("a")
    assert (again.attempt, again.work.feedback) == (2, FAULT)
    assert state(world, "a", 0.9).end.status == "completed"


def test_what_was_sent_back_stays_so_over_the_loss_of_its_worker() -> None:
    world = state_too_little(World().run(flow("id: a")), "a")
    world.fail("a", "worker_lost").wake()
    assert world.request("a").work.feedback == FAULT
    assert state(world, "a", 0.6).end.status == "failed"


def test_a_second_result_that_states_too_little_fails_the_stage() -> None:
    world = state_too_little(World().run(flow("id: a, retry: {max_attempts: 9}")), "a")
    assert state(world, "a", 0.6).end.status == "failed"
    ended = next(fact for fact in world.last if isinstance(fact, StageEnded))
    assert (ended.code, ended.attempts, ended.reason) == ("quality", 2, f"{FAULT}; it had been sent back once")
    assert FAULT in world.end.reason


def test_the_second_failure_obeys_what_its_stage_says_of_errors() -> None:
    world = World().run(flow("id: a, on_error: skip, next: [j]\n id: b, next: [j]\n id: j"))
    state_too_little(world, "a")
    state(world, "a", 0).complete("b").complete("j")
    assert world.ends() == ["a1 skipped", "b1 completed", "j1 completed"]


def test_each_execution_may_be_sent_back() -> None:
    world = World().run(flow("id: a, next: [b]\n id: b"))
    for stage in ("a", "b"):
        state_too_little(world, stage)
        assert world.request(stage).work.feedback == FAULT
        state(world, stage, 0.9)
    assert world.end.status == "completed"
