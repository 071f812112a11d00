"""The runs role: a run that fails or is cancelled undoes the stages that had completed, the last one first."""

import pytest

from services.records.task import (
    RunCancelRequested,
    RunForkRequested,
    RunPauseRequested,
    TaskAnswerRequested,
    TaskCancelRequested,
    run_id_of,
)
from tests.services.orchestrator.run_world import WORKSPACE, World, flow

TRIP = """id: hotel, compensate: leave, output: [room], next: [plane]
id: plane, compensate: refund, next: [pay]
id: pay, compensate: repay
id: leave, input: [room]
id: refund
id: repay"""


def travelled(head: str = "") -> World:
    """A trip of which all but the payment is done."""
    return World().run(flow(TRIP, head)).complete("hotel").complete("plane")


def asked(world: World) -> list[str]:
    return [each.work.stage for each in world.open_requests()]


def cancel(world: World) -> None:
    world.ask(RunCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id, reason="enough"))


def test_a_run_that_fails_undoes_what_had_completed_in_reverse_order() -> None:
    world = travelled().fail("pay")
    assert asked(world) == ["refund"]
    world.complete("refund")
    assert asked(world) == ["leave"]
    assert [each.name for each in world.request("leave").work.inputs] == ["room"]
    world.complete("leave")
    assert world.ends()[2:] == ["pay1 failed", "refund1 completed", "leave1 completed"]
    assert (world.end.status, world.end.reason) == ("failed", "`pay` failed: it broke; 2 stages were undone")


def test_the_order_is_that_of_completion_and_not_of_the_definition() -> None:
    stages = """id: a, compensate: ua
    id: b, compensate: ub
    id: c
    id: ua
    id: ub"""
    world = World().run(flow(stages)).complete("b").complete("a").fail("c")
    world.complete("ua").complete("ub")
    assert world.ends()[-2:] == ["ua1 completed", "ub1 completed"]


def test_a_run_that_is_cancelled_undoes_too_once_what_is_under_way_has_ended() -> None:
    world = travelled()
    cancel(world)
    assert world.ends()[-1] == "pay1 cancelled"
    assert asked(world) == ["refund"]
    world.complete("refund").complete("leave")
    assert (world.end.status, world.end.reason) == ("cancelled", "enough; 2 stages were undone")


def test_neither_cancel_nor_pause_nor_the_timeout_begins_it_again() -> None:
    world = travelled("timeout: 1h\n").fail("pay")
    cancel(world)
    assert world.types() == ["AskRefused"]
    world.ask(RunPauseRequested(workspace_id=WORKSPACE, run_id=world.run_id))
    assert world.types() == ["AskRefused"]
    world.now_ms += 2 * 3_600_000
    world.go_on()
    assert asked(world) == ["refund"]


def test_a_run_that_is_out_of_time_undoes_too() -> None:
    world = travelled("timeout: 1h\n")
    world.wake()
    world.complete("refund").complete("leave")
    assert world.end.status == "failed"
    assert world.end.reason.endswith("timeout; 2 stages were undone")


@pytest.mark.parametrize(("status", "undone"), [("failed", True), ("cancelled", True), ("completed", False)])
def test_an_end_stage_undoes_unless_the_run_completes(status: str, undone: bool) -> None:
    stages = f"id: a, compensate: ua, next: [stop]\nid: stop, kind: end, end: {{status: {status}}}\nid: ua"
    world = World().run(flow(stages)).complete("a")
    if undone:
        world.complete("ua")
    assert world.end.status == status
    assert world.end.reason.endswith("; 1 stage was undone") == undone


def test_a_run_that_completes_undoes_nothing() -> None:
    world = travelled().complete("pay")
    assert world.ends() == ["hotel1 completed", "plane1 completed", "pay1 completed"]
    assert (world.end.status, world.end.reason) == ("completed", "")


def test_a_compensation_is_tried_again_and_the_others_follow_when_it_fails() -> None:
    stages = TRIP.replace("id: refund\n", "id: refund, retry: {on: [error], max_attempts: 2, backoff: 1s}\n")
    world = World().run(flow(stages)).complete("hotel").complete("plane").fail("pay").fail("refund")
    assert asked(world) == []
    world.wake()
    world.fail("refund").complete("leave")
    assert world.ends()[-2:] == ["refund1 failed", "leave1 completed"]
    assert world.end.reason == "`pay` failed: it broke; 1 stage was undone; `refund` failed to undo"


def test_a_stage_that_did_not_complete_is_not_undone() -> None:
    world = World().run(flow(TRIP)).complete("hotel").fail("plane").complete("leave")
    assert world.ends() == ["hotel1 completed", "plane1 failed", "leave1 completed"]
    assert world.end.reason.endswith("; 1 stage was undone")


def test_a_stage_of_a_loop_is_undone_once_and_as_of_its_newest_execution() -> None:
    stages = """id: a, compensate: ua, next: [b]
    id: b, compensate: ub, next: [{to: a, when: "result.again", max_times: 3}, {to: c, else: true}]
    id: c
    id: ua
    id: ub"""
    world = World().run(flow(stages)).complete("a").complete("b", {"again": True})
    world.complete("a").complete("b", {"again": False}).fail("c").complete("ub").complete("ua")
    assert world.ends()[-2:] == ["ub1 completed", "ua1 completed"]
    assert world.end.reason.endswith("; 2 stages were undone")


def test_a_compensation_without_its_input_fails_and_the_others_follow() -> None:
    stages = TRIP.replace("id: refund\n", "id: refund, input: [ticket]\n").replace(
        "pay, comp", "pay, output: [ticket], comp"
    )
    world = World().run(flow(stages)).complete("hotel").complete("plane").fail("pay").go_on()
    world.complete("leave")
    assert world.ends()[-2:] == ["refund1 failed", "leave1 completed"]
    assert world.end.reason.endswith("; 1 stage was undone; `refund` failed to undo")


def test_a_person_compensates_and_a_compensation_can_be_cancelled_by_itself() -> None:
    stages = "id: a, compensate: ua, next: [b]\nid: b, compensate: ub, next: [c]\nid: c\nid: ua, agent: human\nid: ub"
    world = World().run(flow(stages)).complete("a").complete("b").fail("c")
    task_id = world.request("ub").task_id
    world.ask(TaskCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id, task_id=task_id))
    assert world.live is not None
    (task_id,) = world.live.open
    world.ask(TaskAnswerRequested(workspace_id=WORKSPACE, run_id=world.run_id, task_id=task_id))
    assert world.ends()[-2:] == ["ub1 cancelled", "ua1 completed"]
    assert world.end.reason.endswith("; 1 stage was undone; `ub` failed to undo")


def test_a_late_result_of_what_was_cancelled_does_not_count() -> None:
    world = travelled()
    late = world.request("pay")
    cancel(world)
    world.report(late, {}, {})
    assert world.types() == ["ResultRefused"]
    assert asked(world) == ["refund"]


def test_a_fork_undoes_what_it_ran_itself() -> None:
    world = World().run(flow(TRIP)).complete("hotel")
    point = world.offset_of(world.last[0]) + len(world.last) - 1
    cancel(world)
    world.complete("leave")
    world.run_id = run_id_of(world.ask(RunForkRequested(workspace_id=WORKSPACE, run_id=world.run_id, offset=point)))
    world.go_on().complete("plane").fail("pay").complete("refund")
    assert world.ends() == ["plane1 completed", "pay1 failed", "refund1 completed"]
    assert world.end.reason.endswith("; 1 stage was undone")
