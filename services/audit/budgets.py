"""The budgets of a system as its records show them: what may be spent, what is spent, what is given out."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field, replace

from bus.record import Envelope, Record
from services.records.budget import (
    EACH,
    NO_LIMIT,
    BudgetClosed,
    BudgetCrossed,
    BudgetSet,
    TrancheGranted,
    TrancheRefused,
    TrancheSettled,
)

BUDGETED: tuple[type[Record], ...] = (
    *(BudgetSet, BudgetCrossed, BudgetClosed),
    *(TrancheGranted, TrancheSettled, TrancheRefused),
)
"""What the list of budgets is folded from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Of one unit."""

    spent: int = 0
    granted: int = 0  # given out and not accounted for; it counts as spent until it is
    alarm: int = 0  # percent that was last told of


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Of one subject in a workspace."""

    workspace_id: str
    subject: str
    set_ms: int
    tokens: Spending = Spending()
    cost_micros: Spending = Spending()
    refused: int = 0  # attempts that were stopped or not started


@dataclass(slots=True, kw_only=True)
class Books:
    """All budgets, and what each attempt holds."""

    limits: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    budgets: MutableMapping[tuple[str, str], Budget] = field(default_factory=dict)
    tranches: dict[str, TrancheGranted] = field(default_factory=dict)

    def limit(self, budget: Budget) -> tuple[int, int]:
        """Tokens and money that it may spend, -1 for no limit."""
        kind = budget.subject.partition(":")[0]
        own = self.limits.get((budget.workspace_id, budget.subject))
        return own or self.limits.get((budget.workspace_id, f"{kind}:{EACH}"), (NO_LIMIT, NO_LIMIT))

    def apply(self, envelope: Envelope) -> None:
        """Take one record in."""
        record = envelope.record
        match record:
            case BudgetSet():
                self._set(record, envelope.time_ms)
            case BudgetCrossed():
                self._change(record, record.subject, envelope.time_ms, record.unit, alarm=record.percent)
            case BudgetClosed():
                self.budgets.pop((record.workspace_id, record.subject), None)
            case TrancheGranted():
                self.tranches[record.attempt_id] = record
                self._move(record, record.subjects, envelope.time_ms, granted=1)
            case TrancheSettled():
                self._settle(record, envelope.time_ms)
            case TrancheRefused():
                budget = self._budget(record.workspace_id, record.subject, envelope.time_ms)
                self.budgets[record.workspace_id, record.subject] = replace(budget, refused=budget.refused + 1)

    def _set(self, record: BudgetSet, time_ms: int) -> None:
        key = record.workspace_id, record.subject
        if (record.tokens, record.cost_micros) == (NO_LIMIT, NO_LIMIT):
            self.limits.pop(key, None)
            self.budgets.pop(key, None)
            return
        self.limits[key] = record.tokens, record.cost_micros
        budget = self._budget(*key, time_ms)
        fresh = {unit: replace(getattr(budget, unit), alarm=0) for unit in ("tokens", "cost_micros")}
        self.budgets[key] = replace(budget, **fresh)

    def _budget(self, workspace_id: str, subject: str, time_ms: int) -> Budget:
        found = self.budgets.get((workspace_id, subject))
        return found or Budget(workspace_id=workspace_id, subject=subject, set_ms=time_ms)

    def _settle(self, record: TrancheSettled, time_ms: int) -> None:
        if granted := self.tranches.pop(record.attempt_id, None):
            self._move(granted, record.subjects, time_ms, granted=-1)
        self._move(record, record.subjects, time_ms, spent=1)

    def _move(
        self,
        record: TrancheGranted | TrancheSettled,
        subjects: Iterable[str],
        time_ms: int,
        *,
        spent: int = 0,
        granted: int = 0,
    ) -> None:
        for subject in subjects:
            for unit in ("tokens", "cost_micros"):
                amount = max(0, getattr(record, unit))
                old: Spending = getattr(self._budget(record.workspace_id, subject, time_ms), unit)
                changes = {"spent": old.spent + spent * amount, "granted": max(0, old.granted + granted * amount)}
                self._change(record, subject, time_ms, unit, **changes)

    def _change(
        self,
        record: BudgetCrossed | TrancheGranted | TrancheSettled,
        subject: str,
        time_ms: int,
        unit: str,
        **changes: int,
    ) -> None:
        budget = self._budget(record.workspace_id, subject, time_ms)
        changed = replace(budget, **{unit: replace(getattr(budget, unit), **changes)})
        self.budgets[record.workspace_id, subject] = changed


def fold_budgets(envelopes: Iterable[Envelope]) -> Books:
    """All budgets, in the order in which they came up."""
    books = Books()
    for envelope in envelopes:
        books.apply(envelope)
    return books


def describe(budget: Budget, limit: tuple[int, int]) -> dict[str, object]:
    """One line of `budgets list --json`."""
    units = zip(("tokens", "cost_micros"), limit, strict=True)
    return {
        "workspace_id": budget.workspace_id,
        "subject": budget.subject,
        **{unit: _describe(getattr(budget, unit), most) for unit, most in units},
        "refused": budget.refused,
        "set_at": budget.set_ms,
    }


def _describe(spending: Spending, most: int) -> dict[str, object]:
    return {
        "limit": None if most == NO_LIMIT else most,
        "spent": spending.spent,
        "granted": spending.granted,
        "alarm": spending.alarm or None,
    }
