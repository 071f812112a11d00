"""Budgets: limits, tranches, accounts, alarms, and who waits or is refused."""

from typing import Any

import pytest

from bus.testing import NOW_MS, Scenario, given
from services.allocator.budgets import ACCOUNT_WAIT_MS, BUDGETS, PARTS, TRANCHE_MAX
from services.allocator.budgets_state import Budgets
from services.records.content import Usage, Work
from services.records.event import (
    BudgetClosed,
    BudgetCrossed,
    BudgetRefused,
    BudgetSet,
    BudgetSetRequested,
    InstanceEnded,
    TrancheDeferred,
    TrancheGranted,
    TrancheRefused,
    TrancheSettled,
    UsageReported,
)
from services.records.task import RunEnded, TaskAssigned


def limit(subject: str = "workspace", tokens: int = -1, cost_micros: int = -1) -> BudgetSetRequested:
    return BudgetSetRequested(workspace_id="w", subject=subject, tokens=tokens, cost_micros=cost_micros)


def assigned(
    attempt: str = "a", run: str = "r", budgeted: bool = True, deadline_ms: int = NOW_MS + 1_000
) -> TaskAssigned:
    return TaskAssigned(
        workspace_id="w",
        task_id=f"task-{attempt}",
        attempt_id=attempt,
        instance_id="i",
        node_id="node",
        node_session="s",
        incarnation=1,
        deadline_ms=deadline_ms,
        work=Work(run_id=run, stage="x", execution=1),
        budgeted=budgeted,
    )


def used(attempt: str = "a", tokens: int = 0, number: int = 1, **fields: Any) -> UsageReported:
    known: dict[str, Any] = {"final": True, "node_session": "s", **fields}
    return UsageReported(
        workspace_id="w",
        run_id="r",
        attempt_id=attempt,
        instance_id="i",
        node_id="node",
        incarnation=1,
        number=number,
        usage=Usage(output_tokens=tokens, cost_micros=fields.pop("cost_micros", 0)),
        **{name: value for name, value in known.items() if name != "cost_micros"},
    )


def budgets(*limits: BudgetSetRequested) -> Scenario[Budgets]:
    scenario = given(BUDGETS)
    for n, each in enumerate(limits):
        scenario.when(each, record_id=f"limit {n}")
        assert isinstance(scenario.facts[0], BudgetSet)
    return scenario


def only(scenario: Scenario[Budgets], kind: type) -> Any:
    (fact,) = [fact for fact in scenario.facts if isinstance(fact, kind)]
    return fact


def test_an_attempt_gets_a_part_of_the_smallest_budget_and_the_next_when_it_accounts() -> None:
    scenario = budgets(limit(tokens=1_600), limit("run:*", tokens=800)).when(assigned())
    first = only(scenario, TrancheGranted)
    assert (first.number, first.tokens, first.cost_micros, first.subjects) == (
        1,
        800 // PARTS,
        -1,
        ("workspace", "run:r"),
    )
    scenario.when(used(tokens=50, final=False))
    assert only(scenario, TrancheSettled).tokens == 50
    assert only(scenario, TrancheGranted).number == 2
    scenario.when(used(tokens=50, final=False)).then()  # that one is accounted for
    scenario.when(used(tokens=10, number=2)).then_types(TrancheSettled)
    assert scenario.state.of("w").account("workspace").spent.tokens == 60
    assert not scenario.state.of("w").tranches


def test_an_attempt_that_is_not_budgeted_is_left_alone_and_one_without_a_limit_gets_what_it_likes() -> None:
    budgets().when(assigned(budgeted=False)).then()
    granted = only(budgets().when(assigned()), TrancheGranted)
    assert (granted.tokens, granted.cost_micros, granted.subjects) == (-1, -1, ())


def test_no_tranche_is_larger_than_the_largest() -> None:
    granted = only(budgets(limit(tokens=10**9, cost_micros=10**9)).when(assigned()), TrancheGranted)
    assert (granted.tokens, granted.cost_micros) == TRANCHE_MAX


def test_what_is_given_out_is_not_given_again_others_wait_for_it() -> None:
    scenario = budgets(limit(tokens=2))
    scenario.when(assigned("a")).then_types(TrancheGranted)
    scenario.when(assigned("b")).then_types(TrancheGranted)
    scenario.when(assigned("c")).then_types(TrancheDeferred)
    scenario.when(assigned("c")).then()
    scenario.when(used("a", tokens=0)).then_types(TrancheSettled, TrancheGranted)
    assert only(scenario, TrancheGranted).attempt_id == "c"


def test_a_budget_that_is_spent_refuses_and_says_so_once() -> None:
    scenario = budgets(limit(tokens=1)).when(assigned("a"))
    scenario.when(used("a", tokens=1))
    assert [fact.percent for fact in scenario.facts if isinstance(fact, BudgetCrossed)] == [50, 80, 100]
    refused = only(scenario.when(assigned("b")), TrancheRefused)
    assert (refused.subject, refused.reason) == (
        "workspace",
        "the budget of workspace is used up: 1 of 1 tokens are spent",
    )
    scenario.then_types(TrancheRefused)


def test_those_who_wait_are_refused_when_nothing_can_come_any_more() -> None:
    scenario = budgets(limit(tokens=1)).when(assigned("a"))
    scenario.when(assigned("b")).then_types(TrancheDeferred)
    scenario.when(used("a", tokens=1))
    assert only(scenario, TrancheRefused).attempt_id == "b"


def test_a_higher_limit_lets_those_go_on_who_wait() -> None:
    scenario = budgets(limit(tokens=1)).when(assigned("a"))
    scenario.when(assigned("b")).then_types(TrancheDeferred)
    scenario.when(limit(tokens=100), record_id="more").then_types(BudgetSet, TrancheGranted)


@pytest.mark.parametrize("known", [True, False])
def test_a_worker_that_dies_without_a_word_has_spent_its_tranche(known: bool) -> None:
    scenario = budgets(limit(tokens=1_600)).when(assigned())
    assert only(scenario.when(used(tokens=3, known=known)), TrancheSettled).tokens == (3 if known else 100)


def test_what_nobody_accounts_for_in_time_is_spent() -> None:
    scenario = budgets(limit(tokens=1_600)).when(assigned()).when_deadline()
    assert scenario.now_ms == NOW_MS + 1_000 + ACCOUNT_WAIT_MS
    settled = only(scenario, TrancheSettled)
    assert (settled.tokens, settled.reported, settled.final) == (100, False, True)
    scenario.when(used(tokens=1)).then()


def test_an_attempt_that_ended_before_its_assignment_was_heard_gets_nothing() -> None:
    scenario = budgets(limit(tokens=1_600)).when(used(tokens=0)).then_types(TrancheSettled)
    scenario.when(assigned()).then()


def test_reports_of_another_session_or_tranche_count_nothing() -> None:
    scenario = budgets(limit(tokens=1_600)).when(assigned())
    scenario.when(used(tokens=1, node_session="zombie")).then()
    scenario.when(used(tokens=1, number=2)).then()


def test_levels_are_told_again_after_the_budget_has_changed() -> None:
    scenario = budgets(limit(tokens=100)).when(assigned()).when(used(tokens=55))
    assert only(scenario, BudgetCrossed).percent == 50
    scenario.when(limit(tokens=60), record_id="less")
    assert [fact.percent for fact in scenario.facts if isinstance(fact, BudgetCrossed)] == [50, 80]


def test_money_is_limited_like_tokens() -> None:
    scenario = budgets(limit(cost_micros=1_600)).when(assigned())
    assert (only(scenario, TrancheGranted).tokens, only(scenario, TrancheGranted).cost_micros) == (-1, 100)
    assert only(scenario.when(used(cost_micros=900)), BudgetCrossed).unit == "cost_micros"


def test_the_account_of_a_run_or_an_instance_is_closed_with_it() -> None:
    scenario = budgets(limit("run:*", tokens=100), limit("instance:*", tokens=100)).when(assigned())
    scenario.when(RunEnded(workspace_id="w", run_id="r", status="completed")).then_types(BudgetClosed)
    scenario.when(used(tokens=1)).then_types(TrancheSettled)
    scenario.when(InstanceEnded(workspace_id="w", instance_id="i", status="stopped")).then_types(BudgetClosed)
    assert not scenario.state.of("w").accounts


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (limit("teem", tokens=1), "has no budget; write workspace"),
        (limit("run:", tokens=1), "has no budget"),
        (limit(tokens=-2), "whole number from 0 on"),
        (limit("run:" + "x" * 300, tokens=1), "at most 250 characters"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(ask: BudgetSetRequested, reason: str) -> None:
    assert reason in only(given(BUDGETS).when(ask), BudgetRefused).reason


def test_taking_the_last_limit_away_says_that_none_is_left() -> None:
    scenario = budgets(limit(tokens=5)).when(limit(), record_id="away")
    assert only(scenario, BudgetSet).limits == 0
    assert not scenario.state.ledgers
