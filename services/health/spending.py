"""Alarms on budgets: one for each level of each budget, until the budget is changed or its account is closed."""

from bus.decider import Draft
from bus.record import Envelope
from services.health.watch_state import BUDGET, Watched, alarm_name
from services.records.event import AlarmCleared, AlarmRaised, BudgetClosed, BudgetCrossed, BudgetSet

UNITS = ("tokens", "cost_micros")
LEVELS = (50, 80, 100)


def alarm(draft: Draft[Watched], heard: Envelope) -> None:
    """A budget is spent to a level that it had not reached."""
    crossed: BudgetCrossed = heard.record
    subject, rule = BUDGET + crossed.subject, _rule(crossed.unit, crossed.percent)
    if alarm_name(crossed.workspace_id, subject, rule) in draft.state.spending:
        return
    draft.add(
        AlarmRaised(
            alarm_id=draft.new_id("alarm", subject, rule),
            rule=rule,
            subject=subject,
            owner_key=crossed.workspace_id,
            severity="critical" if crossed.percent == LEVELS[-1] else "warning",
            evidence=f"{crossed.spent} of {crossed.limit} {crossed.unit} are spent",
        )
    )


def relieve(draft: Draft[Watched], heard: Envelope) -> None:
    """What was said of a budget holds no longer."""
    changed: BudgetSet | BudgetClosed = heard.record
    subject = BUDGET + changed.subject
    for rule in [_rule(unit, level) for unit in UNITS for level in LEVELS]:
        alarm_id = draft.state.spending.get(alarm_name(changed.workspace_id, subject, rule))
        if alarm_id:
            evidence = "the budget was set anew" if isinstance(changed, BudgetSet) else "its account is closed"
            draft.add(
                AlarmCleared(
                    alarm_id=alarm_id,
                    rule=rule,
                    subject=subject,
                    owner_key=changed.workspace_id,
                    evidence=evidence,
                )
            )


def _rule(unit: str, level: int) -> str:
    return f"{unit}_{level}"
