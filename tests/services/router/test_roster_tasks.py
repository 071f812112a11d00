"""What becomes of a task: assigned at once, queued, settled, cancelled, out of time."""

import pytest

from bus.testing import NOW_MS, Scenario, given
from services.records.content import Terms
from services.records.task import (
    AttemptCancelled,
    InstanceNeeded,
    InstanceVacated,
    Reason,
    RosterChanged,
    RunEnded,
    TaskAssigned,
    TaskLost,
    TaskQueued,
    TasksSettled,
)
from services.router import assignment
from services.router.queue import AGEING_MS
from services.router.roster import ROSTER
from services.router.roster_state import Rosters
from tests.services.router.roster_cases import (
    TIMEOUT_MS,
    assigned,
    cancelled,
    changed,
    completed,
    draining,
    failed,
    lost,
    queued,
    ready,
    requested,
    work,
)


def only(scenario: Scenario[Rosters]) -> TaskAssigned:
    """The one assignment of the last decision."""
    (fact,) = [fact for fact in scenario.facts if isinstance(fact, TaskAssigned)]
    return fact


def order_to_stop(attempt: str, reason: str) -> AttemptCancelled:
    return AttemptCancelled(
        workspace_id="w",
        run_id="run",
        task_id=f"task-{attempt}",
        attempt_id=attempt,
        instance_id="a",
        node_id="node",
        reason=reason,
    )


def test_a_task_goes_at_once_to_a_free_instance_of_its_profession() -> None:
    given(ROSTER, changed("b", profession="writer"), changed("a")).when(requested("1")).then(
        TaskAssigned(
            workspace_id="w",
            task_id="task-1",
            attempt_id="1",
            instance_id="a",
            node_id="node",
            node_session="s1",
            incarnation=1,
            deadline_ms=NOW_MS + TIMEOUT_MS,
            work=work(),
            reasons=(
                Reason(part="success", score=0.3, note="no task ended yet"),
                Reason(part="load", score=0.3, note="1 of 1 slots free"),
            ),
        )
    )


@pytest.mark.parametrize(("multiplier", "timeout_ms", "expected_ms"), [(2.0, 7, 14), (0.5, 7, 4), (0.01, 7, 1)])
def test_the_profession_of_who_does_it_stretches_its_timeout(
    multiplier: float, timeout_ms: int, expected_ms: int
) -> None:
    terms = Terms(timeout_multiplier=multiplier, quality_threshold=0.8)
    fact = only(given(ROSTER).when(ready(terms=terms)).when(requested("1", timeout_ms=timeout_ms)))
    assert (fact.deadline_ms, fact.work.timeout_ms) == (NOW_MS + expected_ms, expected_ms)
    assert fact.quality_threshold == 0.8


def test_a_stretched_timeout_is_the_one_that_strikes() -> None:
    roster = given(ROSTER).when(ready(terms=Terms(timeout_multiplier=2))).when(requested("1"))
    assert dict(roster.state.deadlines.times) == {"timeout:1:1:w": NOW_MS + 2 * TIMEOUT_MS}


def test_where_there_is_no_timeout_nothing_is_stretched() -> None:
    roster = given(ROSTER, changed(terms=Terms(timeout_multiplier=2)))
    assert only(roster.when(requested("1", timeout_ms=0))).deadline_ms == 0


def test_a_task_from_the_queue_has_the_time_of_who_gets_it() -> None:
    roster = given(ROSTER, queued("1")).when(ready(terms=Terms(timeout_multiplier=3)))
    assert only(roster).deadline_ms == NOW_MS + 3 * TIMEOUT_MS


def test_a_task_asked_for_twice_is_assigned_once_also_when_it_is_over() -> None:
    roster = given(ROSTER, changed(slots=3)).when(requested("1"))
    roster.when(requested("1")).then()
    roster.when(completed("1")).then(TasksSettled(workspace_id="w", attempts=("1",)))
    roster.when(requested("1")).then()
    roster.when(completed("1")).then()


def test_a_task_that_waits_is_not_queued_twice() -> None:
    given(ROSTER).when(requested("1")).when(requested("1")).then()


def test_the_freer_of_two_instances_is_chosen_then_the_smaller_id() -> None:
    roster = given(ROSTER, changed("b", slots=2), changed("a", slots=2), changed("c", slots=1))
    chosen = [only(roster.when(requested(str(n)))).instance_id for n in range(5)]
    assert chosen == ["a", "b", "c", "a", "b"]


def test_past_success_weighs() -> None:
    roster = given(ROSTER, changed("a"), changed("b"))
    assert only(roster.when(requested("1"))).instance_id == "a"
    roster.when(failed("1")).then(TasksSettled(workspace_id="w", attempts=("1",), failed=("1",)))
    assert only(roster.when(requested("2"))).instance_id == "b"


def test_a_cancelled_attempt_says_nothing_about_its_instance() -> None:
    roster = given(ROSTER, changed("a"), changed("b")).when(requested("1")).when(cancelled("1"))
    roster.when(failed("1", code="cancelled"))
    assert only(roster.when(requested("2"))).instance_id == "a"


def test_least_skill_levels_are_a_hard_filter_and_what_is_above_them_counts() -> None:
    roster = given(
        ROSTER,
        changed("a", skills={"coding": 4}),
        changed("b", skills={"coding": 6}),
        changed("c", skills={"coding": 9, "typing": 1}),
    )
    fact = only(roster.when(requested("1", skills={"coding": 5})))
    assert fact.instance_id == "c"
    assert fact.reasons[0] == Reason(part="skills", score=0.32, note="coding 5 or more")
    assert [(one.instance_id, one.score) for one in fact.runners_up] == [("b", 0.68)]


def test_three_runners_up_are_named_at_most() -> None:
    fact = only(given(ROSTER, *(changed(name) for name in "edcba")).when(requested("1")))
    assert (fact.instance_id, [one.instance_id for one in fact.runners_up]) == ("a", ["b", "c", "d"])


def test_an_agent_that_a_task_names_must_be_the_instances() -> None:
    roster = given(ROSTER, changed("a"), changed("b", agent="claude"))
    assert only(roster.when(requested("1", agent="claude"))).instance_id == "b"


@pytest.mark.parametrize(
    ("instances", "fields", "reason"),
    [
        ([], {}, "no instance of tester is there"),
        ([changed(status="coming")], {}, "no instance of tester is there; one is on its way"),
        ([changed()], {"agent": "claude"}, "no instance of tester works with agent claude"),
        ([changed(skills={"a": 3})], {"skills": {"a": 2, "b": 4}}, "no instance of tester has b at level 4"),
        (
            [changed("a", skills={"a": 3}), changed("b", skills={"b": 3})],
            {"skills": {"a": 3, "b": 3}},
            "no instance of tester has a at level 3 and b at level 3",
        ),
        ([changed(), assigned("0")], {}, "the only fitting tester is busy"),
        ([changed("a"), changed("b"), assigned("0"), assigned("9", "b")], {}, "all 2 fitting tester are busy"),
    ],
)
def test_a_task_that_nobody_can_take_is_queued_with_the_reason(instances, fields, reason) -> None:  # type: ignore[no-untyped-def]
    roster = given(ROSTER, *instances).when(requested("1", **fields))
    assert roster.facts[0] == TaskQueued(
        workspace_id="w", task_id="task-1", attempt_id="1", work=work(**fields), reason=reason
    )


def test_a_free_slot_goes_to_the_next_task_in_the_same_decision() -> None:
    roster = given(ROSTER, changed(), assigned("1"), queued("2"), queued("3"))
    roster.when(completed("1")).then_types(TasksSettled, TaskAssigned)
    assert only(roster).attempt_id == "2"


def test_a_higher_priority_goes_first_and_age_makes_up_for_it() -> None:
    roster = given(ROSTER, changed(), assigned("1"), queued("low"))
    roster.at(NOW_MS + 5 * AGEING_MS - 1).when(requested("high", priority=5))
    roster.at(NOW_MS + 5 * AGEING_MS).when(requested("equal", priority=5))
    order = [only(roster.when(completed(attempt))).attempt_id for attempt in ("1", "high", "low")]
    assert order == ["high", "low", "equal"]


def test_a_priority_beyond_the_limit_counts_as_the_limit() -> None:
    roster = given(ROSTER, changed(), assigned("1"), queued("2", priority=100), queued("3", priority=10**9))
    assert only(roster.when(completed("1"))).attempt_id == "2"


def test_a_task_that_does_not_fit_the_free_instance_lets_others_pass() -> None:
    roster = given(ROSTER, changed(skills={"coding": 5}), assigned("1"), queued("2", skills={"coding": 9}), queued("3"))
    assert only(roster.when(completed("1"))).attempt_id == "3"


@pytest.mark.parametrize(
    "other", [{"node_session": "s0"}, {"incarnation": 2}, {"instance": "b"}], ids=["session", "incarnation", "instance"]
)
def test_a_report_of_another_worker_is_ignored(other) -> None:  # type: ignore[no-untyped-def]
    given(ROSTER, changed(), assigned("1"), queued("2")).when(completed("1", **other)).then()


def test_beyond_its_limit_the_queue_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "QUEUE_TASKS_MAX", 2)
    roster = given(ROSTER, changed(), assigned("1"), queued("2"), queued("3", "writer"))
    full = lost("4", "refused", "the queue of workspace w is full: 2 tasks wait in it")
    roster.when(requested("4")).then(full)
    roster.when(requested("4")).then()
    roster.when(cancelled("3"))
    roster.when(requested("5")).then_types(TaskQueued, InstanceNeeded)


def test_an_attempt_that_times_out_is_lost_and_stopped_and_keeps_its_slot_until_it_has_ended() -> None:
    roster = given(ROSTER, changed()).when(requested("1")).when(requested("2"))
    reason = "the task did not end within its timeout"
    while not any(isinstance(fact, TaskLost) for fact in roster.facts):
        roster.when_deadline()  # the unanswered needs for an instance for the second task run out before
    assert roster.now_ms == NOW_MS + TIMEOUT_MS
    roster.then(lost("1", "timeout", reason, "a"), order_to_stop("1", reason))
    roster.when(requested("3")).then_types(TaskQueued)
    roster.when(failed("1", code="timeout")).then_types(TasksSettled, TaskAssigned)
    assert only(roster).attempt_id == "2"


def test_an_attempt_without_a_timeout_has_no_deadline() -> None:
    roster = given(ROSTER, changed()).when(requested("1", timeout_ms=0))
    assert only(roster).deadline_ms == 0
    assert ROSTER.deadlines(roster.state).first() is None


def test_a_task_that_waits_too_long_is_lost() -> None:
    roster = given(ROSTER, changed(), assigned("1")).when(requested("2", queue_timeout_ms=5_000)).when_deadline()
    assert roster.now_ms == NOW_MS + 5_000
    roster.then(lost("2", "queue_timeout", "no instance of tester took the task in 5000 ms"))
    roster.when(completed("1")).then_types(TasksSettled)


def test_a_task_that_was_assigned_in_time_has_no_queue_timeout_any_more() -> None:
    roster = given(ROSTER, changed(), assigned("1"), queued("2", queue_timeout_ms=5_000)).when(completed("1"))
    assert ROSTER.deadlines(roster.state).first() == (NOW_MS + TIMEOUT_MS, "timeout:1:2:w")


def test_a_cancelled_task_leaves_the_queue() -> None:
    roster = given(ROSTER, changed(), assigned("1"), queued("2")).when(cancelled("2"))
    roster.then(AttemptCancelled(workspace_id="w", run_id="run", task_id="task-2", attempt_id="2", reason="not wanted"))
    roster.when(cancelled("2")).then()
    roster.when(completed("1")).then_types(TasksSettled)


def test_a_cancelled_attempt_is_stopped_once_and_keeps_its_slot_until_it_has_ended() -> None:
    roster = given(ROSTER, changed(), assigned("1"), queued("2")).when(cancelled("1"))
    roster.then(order_to_stop("1", "not wanted"))
    roster.when(cancelled("1")).then()
    assert ROSTER.deadlines(roster.state).first() is None
    roster.when(failed("1", code="cancelled")).then_types(TasksSettled, TaskAssigned)


def test_a_cancel_of_an_attempt_that_was_never_asked_for_changes_nothing() -> None:
    roster = given(ROSTER, changed())
    before = roster.state
    assert roster.when(cancelled("9")).then().state == before


def test_an_instance_whose_worker_is_lost_gets_nothing_before_its_owner_has_spoken() -> None:
    roster = given(ROSTER, changed(slots=2), assigned("1"), assigned("2")).when(failed("1", code="worker_lost"))
    roster.then(
        TasksSettled(workspace_id="w", attempts=("1",), failed=("1",)),
        changed(status="coming", node_id="node", node_session="s1", incarnation=1, slots=2, reason="it went wrong"),
    )
    roster.when(requested("3")).then_types(TaskQueued)
    roster.when(failed("2", code="worker_lost")).then_types(TasksSettled)
    roster.when(ready(incarnation=2)).then_types(RosterChanged, TaskAssigned)


def test_the_last_end_on_a_draining_instance_vacates_it() -> None:
    roster = given(ROSTER, changed(), assigned("1")).when(draining()).when(completed("1"))
    roster.then(TasksSettled(workspace_id="w", attempts=("1",)), InstanceVacated(workspace_id="w", instance_id="a"))


def test_workspaces_do_not_see_each_other() -> None:
    elsewhere = requested("1").model_copy(update={"workspace_id": "v"})
    given(ROSTER, changed()).when(elsewhere).then_types(TaskQueued, InstanceNeeded)


def test_a_fact_of_another_role_cannot_be_folded() -> None:
    with pytest.raises(TypeError, match="RunEnded"):
        ROSTER.evolve(ROSTER.initial(), RunEnded(workspace_id="w", run_id="run", status="completed"), NOW_MS)
