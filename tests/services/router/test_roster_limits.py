"""What the roster does with more than one decision, one queue or one memory holds."""

import pytest

from bus.decider import DECISION_BYTES_MAX, DECISION_RECORDS_MAX
from bus.record import Fact, Origin
from bus.testing import NOW_MS, Scenario, given
from services.records import language_codec
from services.records.budget import BudgetSet
from services.records.content import Artifact
from services.records.task import (
    AssignmentsDeferred,
    InstanceNeeded,
    NeedEnded,
    RosterChanged,
    TaskAssigned,
    TaskLost,
    TaskQueued,
    TasksSettled,
    WorkspaceBudgeted,
)
from services.router import provision, roster_state
from services.router.instance import HISTORY_MAX
from services.router.roster import ROSTER
from services.router.roster_state import Rosters
from tests.services.router.roster_cases import (
    assigned,
    cancelled,
    changed,
    completed,
    draining,
    ended,
    failed,
    needed,
    queued,
    ready,
    refused,
    requested,
)

MANY = 1_200
CODEC = language_codec()


def size_of(fact: Fact) -> int:
    """Bytes of a fact on the log, but for its headers."""
    raw = CODEC.encode(fact, record_id="0" * 24, origin=Origin("fact"), time_ms=NOW_MS, trace="0" * 32)
    return len(raw.value)


def carry_on(roster: Scenario[Rosters], kind: str) -> int:
    """Wake the roster as long as a deadline of this kind comes first; the number of decisions."""
    decisions = 0
    while (first := ROSTER.deadlines(roster.state).first()) and first[1].startswith(kind):
        roster.when_deadline()
        assert 0 < len(roster.facts) <= DECISION_RECORDS_MAX
        assert ROSTER.deadlines(roster.state).times.get(first[1]) != first[0]
        decisions += 1
    return decisions


def test_more_assignments_than_a_decision_holds_go_on_at_once_in_order() -> None:
    roster = given(ROSTER, *(queued(f"{n}", queue_timeout_ms=60_000) for n in range(MANY)))
    roster.when(ready(slots=MANY + 1))
    assert len(roster.facts) <= DECISION_RECORDS_MAX
    assert roster.facts[-1] == AssignmentsDeferred(workspace_id="w", profession="tester")
    order = [fact.attempt_id for fact in roster.facts if isinstance(fact, TaskAssigned)]
    roster.when(requested("last")).then_types(TaskQueued)
    assert "are assigned first" in str(roster.facts[0])
    while (first := ROSTER.deadlines(roster.state).first()) and first[1].startswith("assignments"):
        roster.when_deadline()
        order += [fact.attempt_id for fact in roster.facts if isinstance(fact, TaskAssigned)]
    assert order == [*map(str, range(MANY)), "last"]


def test_a_deferral_of_which_nothing_is_left_ends() -> None:
    deferred = AssignmentsDeferred(workspace_id="w", profession="tester")
    roster = given(ROSTER, changed(), queued("1"), deferred).when(cancelled("1")).when_deadline()
    roster.then(deferred.model_copy(update={"deferred": False}))
    assert ROSTER.deadlines(roster.state).first() is None
    roster.when(requested("2")).then_types(TaskAssigned)


def test_no_decision_is_bigger_than_a_decision_may_be() -> None:
    inputs = tuple(
        Artifact(name=f"input-{n}", version=1, digest="sha256:" + "0" * 64, size=4_096, inline=b"x" * 4_096)
        for n in range(60)
    )
    roster = given(ROSTER, *(queued(f"{n}", inputs=inputs, timeout_ms=0) for n in range(7))).when(ready(slots=7))
    found = 0
    for _ in range(7):
        found += sum(isinstance(fact, TaskAssigned) for fact in roster.facts)
        assert sum(size_of(fact) for fact in roster.facts) <= DECISION_BYTES_MAX
        if ROSTER.deadlines(roster.state).first():
            roster.when_deadline()
    assert found == 7


def test_one_task_is_always_assigned_however_big_it_seems() -> None:
    roster = given(ROSTER, changed(), assigned("1", timeout_ms=0), queued("2", instructions="做" * 100_000))
    roster.when(completed("1")).then_types(TasksSettled, TaskAssigned)


def test_more_losses_than_a_decision_holds_go_on_at_once_each_said_once() -> None:
    roster = given(ROSTER, changed(slots=MANY), *(assigned(f"{n}") for n in range(MANY))).when(ended())
    assert len(roster.facts) <= DECISION_RECORDS_MAX
    said = [fact.attempt_id for fact in roster.facts if isinstance(fact, TaskLost)]
    roster.when(completed("1100")).then()
    roster.when(cancelled("1100")).then()
    roster.when(requested("1100")).then()
    while ROSTER.deadlines(roster.state).first():
        roster.when_deadline()
        said += [fact.attempt_id for fact in roster.facts if isinstance(fact, TaskLost)]
    assert said == [*map(str, range(MANY))]
    assert not roster.state.of("w").attempts


def test_a_new_worker_waits_for_no_loss_to_be_said() -> None:
    roster = given(ROSTER, changed(slots=MANY), *(assigned(f"{n}") for n in range(MANY)), queued("x", timeout_ms=0))
    roster.when(ready(slots=2, incarnation=2))
    assert isinstance(roster.facts[-1], AssignmentsDeferred)
    roster.when_deadline().then_types(AssignmentsDeferred, TaskAssigned)
    assert carry_on(roster, "losses") == 2
    roster.when(completed("x", incarnation=2)).then_types(TasksSettled)


def test_a_refusal_ends_more_tasks_than_a_decision_holds() -> None:
    roster = given(ROSTER, *(queued(f"{n}") for n in range(MANY)), needed("n")).when(refused("n"))
    assert isinstance(roster.facts[0], NeedEnded)
    assert carry_on(roster, "losses") == 2
    assert roster.state.of("w").waiting == 0


def test_what_is_over_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_state, "REMEMBERED_MAX", 3)
    roster = given(ROSTER, changed())
    for n in range(10):
        roster.when(requested(f"{n}")).when(completed(f"{n}")).then_types(TasksSettled)
    for n in (7, 8, 9):
        roster.when(requested(f"{n}")).then()
    memory = roster.state.of("w")
    assert len(memory.recent) <= 3
    assert len(memory.older) <= 3


def test_the_history_of_an_instance_forgets_slowly() -> None:
    roster = given(ROSTER, changed())
    for n in range(HISTORY_MAX):
        roster.when(requested(f"{n}")).when(failed(f"{n}") if n % 4 else completed(f"{n}"))
    instance = roster.state.of("w").instances["a"]
    assert (instance.succeeded, instance.ended) == (HISTORY_MAX // 8, HISTORY_MAX // 2)


def test_nothing_is_left_of_what_is_gone() -> None:
    roster = given(ROSTER, changed(), queued("1", "writer")).when(cancelled("1")).when(draining()).when(ended())
    roster.then_types(RosterChanged)
    left = roster.state.of("w")
    assert (len(left.instances), len(left.attempts), len(left.crews)) == (0, 0, 0)


def test_in_a_workspace_with_budgets_attempts_start_on_their_first_tranche() -> None:
    def limited(limits: int) -> BudgetSet:
        return BudgetSet(workspace_id="w", subject="workspace", tokens=1, cost_micros=-1, limits=limits, ask_id="ask")

    roster = given(ROSTER, changed(slots=3)).when(limited(1))
    roster.then(WorkspaceBudgeted(workspace_id="w", budgeted=True))
    roster.when(limited(2)).then()
    roster.when(requested("1"))
    assert [fact.budgeted for fact in roster.facts if isinstance(fact, TaskAssigned)] == [True]
    roster.when(limited(0)).then(WorkspaceBudgeted(workspace_id="w", budgeted=False))
    roster.when(requested("2"))
    assert [fact.budgeted for fact in roster.facts if isinstance(fact, TaskAssigned)] == [False]


def test_a_workspace_has_only_so_many_instances_on_demand_and_others_come_when_one_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provision, "ON_DEMAND_TOTAL_MAX", 1)
    roster = given(ROSTER, changed("a", on_demand=True)).when(requested("1", profession="writer"))
    assert [type(fact).__name__ for fact in roster.facts] == ["TaskQueued"]
    roster.when(draining("a")).when(ended("a", "stopped"))
    assert [fact.profession for fact in roster.facts if isinstance(fact, InstanceNeeded)] == ["writer"]
