"""Alarms on budgets: raised once for each level, cleared when the budget is changed."""

from bus.testing import given
from services.health.watch import WATCH
from services.records.event import AlarmCleared, AlarmRaised, BudgetClosed, BudgetCrossed, BudgetSet


def crossed(percent: int = 80, subject: str = "workspace") -> BudgetCrossed:
    return BudgetCrossed(workspace_id="w", subject=subject, unit="tokens", percent=percent, spent=80, limit=100)


def changed(subject: str = "workspace") -> BudgetSet:
    return BudgetSet(workspace_id="w", subject=subject, tokens=500, cost_micros=-1, limits=1, ask_id="ask")


def test_each_level_of_a_budget_raises_one_alarm_until_it_is_changed() -> None:
    watch = given(WATCH).when(crossed(50)).then_types(AlarmRaised)
    watch.when(crossed(80), record_id="more").then_types(AlarmRaised)
    (fact,) = watch.facts
    assert isinstance(fact, AlarmRaised)
    assert (fact.rule, fact.subject, fact.owner_key) == ("tokens_80", "budget:workspace", "w")
    assert (fact.severity, fact.evidence) == ("warning", "80 of 100 tokens are spent")
    watch.when(crossed(80), record_id="again").then()
    watch.when(changed("run:*")).then()
    watch.when(changed()).then_types(AlarmCleared, AlarmCleared)
    watch.when(changed()).then()
    assert not watch.state.spending
    watch.when(crossed(80), record_id="anew").then_types(AlarmRaised)


def test_a_budget_that_is_used_up_is_critical_and_its_alarm_ends_with_the_account() -> None:
    watch = given(WATCH).when(crossed(100, "run:r"))
    (fact,) = watch.facts
    assert isinstance(fact, AlarmRaised)
    assert fact.severity == "critical"
    watch.when(BudgetClosed(workspace_id="w", subject="run:r")).then_types(AlarmCleared)
