"""What becomes of an instance: on its way, ready, replaced, draining, gone, idle, and asked for when tasks wait."""

import pytest

from bus.testing import NOW_MS, Scenario, given
from services.records.content import Resources
from services.records.event import WarmPoolSet
from services.records.task import (
    CrewSized,
    InstanceIdle,
    InstanceNeeded,
    InstanceVacated,
    NeedEnded,
    RosterChanged,
    TaskAssigned,
    TaskLost,
    TaskQueued,
    TasksSettled,
)
from services.router.provision import ON_DEMAND_MAX, REFUSAL_MS
from services.router.roster import ROSTER
from services.router.roster_deadlines import IDLE_MS, NEED_MS
from services.router.roster_state import Rosters
from tests.services.router.roster_cases import (
    accepted,
    assigned,
    cancelled,
    changed,
    completed,
    draining,
    ended,
    failed,
    lost,
    needed,
    queued,
    ready,
    refused,
    requested,
    stopping,
)

VACATED = InstanceVacated(workspace_id="w", instance_id="a")


def need(scenario: Scenario[Rosters]) -> InstanceNeeded:
    """The one need that was said in the last decision."""
    (fact,) = [fact for fact in scenario.facts if isinstance(fact, InstanceNeeded)]
    return fact


def gone(instance: str = "a", reason: str = "the instance ended as lost", **fields: object) -> RosterChanged:
    return changed(instance, "gone", reason=reason, **fields)


def settled(attempt: str) -> TasksSettled:
    return TasksSettled(workspace_id="w", attempts=(attempt,))


def test_a_ready_instance_is_taken_on_with_all_that_waits_for_it() -> None:
    roster = given(ROSTER, queued("1"), queued("2"), queued("3")).when(ready(slots=2, skills={"coding": 9}))
    assert roster.facts[0] == changed(slots=2, skills={"coding": 9})
    roster.then_types(RosterChanged, TaskAssigned, TaskAssigned, InstanceNeeded)


def test_a_ready_instance_is_taken_on_once() -> None:
    given(ROSTER).when(ready()).when(ready()).then()


def test_an_instance_that_is_gone_does_not_come_back_with_the_same_worker() -> None:
    roster = given(ROSTER, changed()).when(ended())
    roster.when(ready()).then()
    roster.when(ready(incarnation=2)).then(changed(incarnation=2))


def test_a_new_worker_takes_the_place_of_the_old_and_what_that_had_is_lost() -> None:
    roster = given(ROSTER, changed(slots=2), assigned("1"), assigned("2")).when(cancelled("2"))
    reason = "a new worker took the place of the one before"
    roster.when(ready(slots=2, incarnation=2)).then(
        changed(slots=2, incarnation=2, reason=reason), lost("1", "worker_lost", reason, "a")
    )
    assert ROSTER.deadlines(roster.state).first() is None
    roster.when(completed("1")).then()
    roster.when(requested("3")).when(requested("4")).then_types(TaskAssigned)


def test_a_new_worker_keeps_the_history_of_its_instance() -> None:
    roster = given(ROSTER, changed("a"), changed("b")).when(requested("1")).when(failed("1"))
    roster.when(ready("a", incarnation=2)).when(requested("2"))
    (fact,) = roster.facts
    assert isinstance(fact, TaskAssigned)
    assert fact.instance_id == "b"


def test_a_draining_instance_gets_no_task_and_is_vacated_when_it_has_none() -> None:
    roster = given(ROSTER, changed()).when(draining())
    roster.then(changed(status="draining", reason="wanted elsewhere"), VACATED)
    roster.when(draining()).then()
    roster.when(requested("1")).then_types(TaskQueued, InstanceNeeded)


def test_a_draining_instance_with_a_task_is_not_vacated() -> None:
    given(ROSTER, changed(), assigned("1")).when(draining()).then_types(RosterChanged)


def test_an_instance_that_was_never_ready_is_vacated_at_once_when_it_drains() -> None:
    given(ROSTER).when(draining()).then(VACATED)
    given(ROSTER).when(draining()).when(draining()).then()
    given(ROSTER, changed(status="coming")).when(draining()).then_types(RosterChanged, InstanceVacated)


@pytest.mark.parametrize("end", [stopping(), ended()], ids=["stopping", "ended"])
def test_what_an_instance_had_is_lost_when_it_is_gone(end) -> None:  # type: ignore[no-untyped-def]
    roster = given(ROSTER, changed(slots=2), assigned("2"), assigned("1")).when(end)
    reason = "forced" if end == stopping() else "the instance ended as lost"
    roster.then(
        gone(slots=2, reason=reason),
        lost("2", "worker_lost", reason, "a"),
        lost("1", "worker_lost", reason, "a"),
    )
    assert ROSTER.deadlines(roster.state).first() is None
    roster.when(ended()).then()
    roster.when(completed("1")).then()


def test_when_the_last_instance_is_gone_one_is_needed_for_what_waits() -> None:
    given(ROSTER, changed(), assigned("1"), queued("2")).when(ended()).then_types(
        RosterChanged, TaskLost, InstanceNeeded
    )


def test_the_reason_of_an_end_is_cut_before_it_stands_in_many_facts() -> None:
    roster = given(ROSTER, changed(), assigned("1")).when(ended(step="health", reason="x" * 10_000))
    (_, fact) = roster.facts
    assert isinstance(fact, TaskLost)
    assert len(fact.reason) == 300
    assert fact.reason.startswith("the instance ended as lost at health: xxx")


# On demand.


def test_an_instance_is_needed_when_none_is_free_or_on_its_way() -> None:
    roster = given(ROSTER, changed(), assigned("0")).when(requested("1"))
    roster.then_types(TaskQueued, InstanceNeeded)
    assert need(roster).reason == "1 task waits for tester and none is free or on its way"
    roster.when(requested("2")).then_types(TaskQueued)


def test_an_instance_that_somebody_asked_for_is_on_its_way() -> None:
    roster = given(ROSTER).when(accepted())
    roster.then(changed(status="coming"))
    roster.when(accepted()).then()
    roster.when(requested("1")).then_types(TaskQueued)


def test_a_need_is_said_for_an_agent_that_nobody_has() -> None:
    roster = given(ROSTER, changed()).when(requested("1", agent="claude"))
    assert need(roster).agent == "claude"
    roster.when(requested("2", agent="codex")).then_types(TaskQueued, InstanceNeeded)
    roster.when(requested("3", agent="claude")).then_types(TaskQueued)


def test_a_free_instance_without_the_skills_is_no_reason_for_another() -> None:
    given(ROSTER, changed()).when(requested("1", skills={"coding": 9})).then_types(TaskQueued)


def test_a_need_ends_when_its_instance_is_accepted_and_the_instance_is_on_its_way() -> None:
    roster = given(ROSTER, queued("1"), needed("n")).when(accepted("b", "n", on_demand=True))
    roster.then(changed("b", "coming", on_demand=True, need_id="n"))
    assert ROSTER.deadlines(roster.state).first() is None
    roster.when(requested("2")).then_types(TaskQueued)
    roster.when(ready("b", on_demand=True)).then_types(RosterChanged, TaskAssigned, InstanceNeeded)


def test_on_demand_there_are_four_of_a_profession_at_most() -> None:
    roster = given(ROSTER)
    for n in range(ON_DEMAND_MAX):
        roster.when(requested(str(n)))
        roster.when(accepted(f"i{n}", need(roster).need_id, on_demand=True)).when(ready(f"i{n}", on_demand=True))
    roster.when(requested("more")).then_types(TaskQueued)
    roster.when(requested("other", "writer")).then_types(TaskQueued, InstanceNeeded)


def test_a_need_that_nobody_answers_is_said_again_while_tasks_wait() -> None:
    roster = given(ROSTER).when(requested("1"))
    first = need(roster)
    roster.when_deadline().then_types(NeedEnded, InstanceNeeded)
    assert roster.now_ms == NOW_MS + NEED_MS
    assert need(roster).need_id != first.need_id
    roster.when(cancelled("1")).when_deadline().then_types(NeedEnded)
    assert ROSTER.deadlines(roster.state).first() is None


def test_a_refusal_ends_what_would_wait_for_ever_for_nobody() -> None:
    roster = given(
        ROSTER, queued("1"), queued("2", queue_timeout_ms=9_000), queued("3"), queued("4", "writer"), needed("n")
    )
    roster.when(refused("n")).then(
        NeedEnded(workspace_id="w", need_id="n", profession="tester", code="refused", reason="the quota is used up"),
        lost("1", "refused", "the quota is used up"),
        lost("3", "refused", "the quota is used up"),
    )
    roster.when(refused("n")).then()
    roster.when_deadline().then(lost("2", "queue_timeout", "no instance of tester took the task in 9000 ms"))


@pytest.mark.parametrize(
    "hope",
    [[changed("b"), assigned("0", "b")], [changed("b", "coming")], [needed("other", agent="claude")]],
    ids=["busy", "coming", "needed"],
)
def test_a_refusal_ends_nothing_while_there_is_hope(hope) -> None:  # type: ignore[no-untyped-def]
    given(ROSTER, *hope, queued("1"), needed("n")).when(refused("n")).then_types(NeedEnded)


def test_a_refusal_for_one_agent_ends_nothing_of_another() -> None:
    roster = given(
        ROSTER, changed("b"), assigned("0", "b"), queued("1"), queued("2", agent="claude"), needed("n", agent="claude")
    )
    roster.when(refused("n")).then_types(NeedEnded, TaskLost)
    assert roster.facts[1] == lost("2", "refused", "the quota is used up")


def test_after_a_refusal_no_need_is_said_for_a_while_if_others_do_the_work() -> None:
    roster = given(ROSTER, changed(), assigned("0"), queued("1"), needed("n")).when(refused("n"))
    roster.when(requested("2")).then_types(TaskQueued)
    roster.at(NOW_MS + REFUSAL_MS).when(requested("3")).then_types(TaskQueued, InstanceNeeded)


def test_after_a_refusal_the_next_task_tries_again_if_nobody_is_there() -> None:
    roster = given(ROSTER, queued("1"), needed("n")).when(refused("n"))
    roster.when(requested("2")).then_types(TaskQueued, InstanceNeeded)


def test_a_refusal_of_somebody_elses_ask_changes_nothing() -> None:
    given(ROSTER, queued("1"), needed("n")).when(refused("other")).then()


def test_an_instance_that_could_not_be_made_counts_as_refused() -> None:
    roster = given(ROSTER, queued("1"), needed("n")).when(accepted("b", "n", on_demand=True))
    roster.when(stopping("b")).then()
    roster.when(ended("b", "failed", step="initialisation", reason="no such program"))
    reason = "the instance ended as failed at initialisation: no such program"
    roster.then(
        gone("b", reason, on_demand=True, node_id="", node_session="", incarnation=0),
        NeedEnded(workspace_id="w", need_id="n", profession="tester", code="failed", reason=reason),
        lost("1", "refused", reason),
    )
    assert ROSTER.deadlines(roster.state).first() is None


def test_an_instance_that_somebody_stopped_before_it_was_ready_is_needed_again() -> None:
    given(ROSTER, queued("1"), changed(status="coming")).when(ended(status="stopped")).then_types(
        RosterChanged, InstanceNeeded
    )


# Idle.


def idle(idle_ms: int = IDLE_MS) -> InstanceIdle:
    return InstanceIdle(workspace_id="w", instance_id="a", idle_ms=idle_ms)


def test_an_instance_on_demand_may_go_when_it_is_idle_for_long() -> None:
    roster = given(ROSTER).when(ready(on_demand=True)).at(NOW_MS + 1_000).when(requested("1", timeout_ms=0))
    assert ROSTER.deadlines(roster.state).first() is None
    roster.at(NOW_MS + 2_000).when(completed("1")).when_deadline().then(idle())
    assert roster.now_ms == NOW_MS + 2_000 + IDLE_MS
    roster.when(draining()).then_types(RosterChanged, InstanceVacated)
    assert ROSTER.deadlines(roster.state).first() is None


def test_other_instances_stay_however_idle_they_are() -> None:
    assert ROSTER.deadlines(given(ROSTER).when(ready()).state).first() is None


def test_idleness_that_is_noticed_late_is_told_as_long_as_it_was() -> None:
    roster = given(ROSTER).when(ready(on_demand=True)).at(NOW_MS + IDLE_MS + 7)
    roster.when_deadline().then(idle(IDLE_MS + 7))


def test_an_instance_on_demand_stays_while_tasks_of_its_profession_wait() -> None:
    roster = given(ROSTER).when(ready(on_demand=True)).when(requested("1", skills={"coding": 3}))
    assert ROSTER.deadlines(roster.state).first() is None
    roster.at(NOW_MS + 5_000).when(cancelled("1")).when_deadline().then(idle())
    assert roster.now_ms == NOW_MS + 5_000 + IDLE_MS


def test_an_instance_on_demand_that_is_gone_has_no_deadline() -> None:
    roster = given(ROSTER).when(ready(on_demand=True)).when(ended())
    assert ROSTER.deadlines(roster.state).first() is None


def test_settled_tasks_are_found_in_the_history() -> None:
    roster = given(ROSTER, changed("a"), assigned("1"))
    roster.when(completed("1")).then(settled("1"))
    roster.when(requested("2"))
    (fact,) = roster.facts
    assert isinstance(fact, TaskAssigned)
    assert fact.reasons[0].note == "1 of its last 1 tasks ended well"


# Warm pools.


def pool(most: int = 6, idle_ms: int = 5_000) -> WarmPoolSet:
    return WarmPoolSet(
        workspace_id="w",
        profession="tester",
        ask_id="ask",
        least=1,
        most=most,
        idle_ms=idle_ms,
        resources=Resources(),
    )


def test_a_warm_pool_says_after_how_long_an_instance_may_go() -> None:
    roster = given(ROSTER).when(ready(on_demand=True)).at(NOW_MS + 1_000).when(pool()).then_types(CrewSized)
    roster.when(pool()).then()
    roster.when_deadline().then(idle(5_000))
    assert roster.now_ms == NOW_MS + 6_000
    roster.when_deadline().then(idle(5_000))
    assert roster.now_ms == NOW_MS + 11_000


def test_a_warm_pool_says_how_many_are_asked_for() -> None:
    busy = [ready(f"i{number}", on_demand=True) for number in range(ON_DEMAND_MAX)]
    roster = given(ROSTER)
    for number, instance in enumerate(busy):
        roster.when(instance).when(requested(f"a{number}"))
    roster.when(requested("more")).then_types(TaskQueued)
    roster.when(pool()).then_types(CrewSized, InstanceNeeded)
    given(ROSTER).when(pool(most=0)).when(requested("1")).then_types(TaskQueued)
