"""Budgets: what the attempts of a workspace may spend, given out in tranches so that the stop is hard.

An attempt in a workspace with limits gets tranches of tokens and money, each reserved from every budget that it is paid
from before it is granted; so however many ask at once, no budget is promised twice. Its node accounts for each one.
What nobody accounts for in time is spent. While all that is left is given out, others wait; when it is spent, they are
refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.allocator.budgets_state import COST, FOLDS, TOKENS, Amount, Budgets, Ledger, Tranche, evolve
from services.records.budget import (
    NO_LIMIT,
    BudgetClosed,
    BudgetCrossed,
    BudgetRefused,
    BudgetSet,
    BudgetSetRequested,
    TrancheDeferred,
    TrancheGranted,
    TrancheRefused,
    TrancheSettled,
    UsageReported,
)
from services.records.event import InstanceEnded
from services.records.permission import find_lack
from services.records.task import RunEnded, TaskAssigned

LIMITS_MAX = 1_000
"""Most limits of a workspace."""

PARTS = 16
"""A tranche is at most this part of the smallest budget that it is taken from, so that several can work at once."""

TRANCHE_MAX = Amount(tokens=50_000, cost_micros=1_000_000)

WAITING_MAX = 1_000
"""Most attempts of a workspace that wait for a tranche."""

SERVED_MAX = 50
"""How many of those that wait are looked at when something is accounted for."""

ACCOUNT_WAIT_MS = 120_000
"""How long after its deadline an attempt may still be accounted for."""

TIMELESS_MS = 24 * 3600 * 1000
"""The same for an attempt without a deadline, from its first tranche on."""

LEVELS = (50, 80, 100)
"""Percent of a budget at which an alarm is raised."""

SUBJECT_LENGTH_MAX = 250


def decide(draft: Draft[Budgets], heard: Envelope) -> None:
    """Set limits, give tranches, settle accounts."""
    if isinstance(heard.record, DeadlineReached):
        _expire(draft, heard.record)
    elif answer := _ANSWERS.get(type(heard.record)):
        answer(draft, heard)


def _set(draft: Draft[Budgets], heard: Envelope) -> None:
    ask: BudgetSetRequested = heard.record
    if heard.id in draft.state.seen:
        return
    ledger = draft.state.of(ask.workspace_id)
    if reason := find_lack(ask) or _find_fault(ledger, ask):
        subject = ask.subject[:SUBJECT_LENGTH_MAX]
        draft.add(BudgetRefused(workspace_id=ask.workspace_id, subject=subject, ask_id=heard.id, reason=reason))
        return
    is_limit = ask.tokens != NO_LIMIT or ask.cost_micros != NO_LIMIT
    draft.add(
        BudgetSet(
            workspace_id=ask.workspace_id,
            subject=ask.subject,
            tokens=ask.tokens,
            cost_micros=ask.cost_micros,
            limits=len(ledger.limits) - (ask.subject in ledger.limits) + is_limit,
            ask_id=heard.id,
        )
    )
    _tell_levels(draft, ask.workspace_id, (ask.subject,))
    _serve(draft, ask.workspace_id)


def _find_fault(ledger: Ledger, ask: BudgetSetRequested) -> str:
    kind, colon, name = ask.subject.partition(":")
    if not (ask.subject == "workspace" or (kind in ("run", "instance") and colon and name)):
        return f"`{ask.subject[:80]}` has no budget; write workspace, run:ID, run:*, instance:ID or instance:*"
    if len(ask.subject) > SUBJECT_LENGTH_MAX:
        return f"a subject has at most {SUBJECT_LENGTH_MAX} characters"
    if ask.tokens < NO_LIMIT or ask.cost_micros < NO_LIMIT:
        return "a budget is a whole number from 0 on, or -1 for no limit"
    if len(ledger.limits) >= LIMITS_MAX and ask.subject not in ledger.limits:
        return f"the workspace has {LIMITS_MAX} limits, which is the most it may have; take one away first"
    return ""


def _assign(draft: Draft[Budgets], heard: Envelope) -> None:
    """The first tranche of an attempt, which its node waits for."""
    order: TaskAssigned = heard.record
    ledger = draft.state.of(order.workspace_id)
    if not order.budgeted or order.attempt_id in ledger.tranches or order.attempt_id in draft.state.seen:
        return
    tranche = Tranche(
        run_id=order.work.run_id,
        instance_id=order.instance_id,
        node_id=order.node_id,
        node_session=order.node_session,
        number=1,
        amount=Amount(),
        subjects=ledger.subjects(order.work.run_id, order.instance_id),
        expires_at_ms=order.deadline_ms + ACCOUNT_WAIT_MS if order.deadline_ms else draft.now_ms + TIMELESS_MS,
    )
    _give(draft, order.workspace_id, order.attempt_id, tranche)


def _give(draft: Draft[Budgets], workspace_id: str, attempt_id: str, wanted: Tranche) -> None:
    """Grant, defer or refuse a tranche."""
    ledger = draft.state.of(workspace_id)
    if spent := _find_spent(ledger, wanted.subjects):
        _refuse(draft, workspace_id, attempt_id, wanted, *spent)
        return
    left = _left(ledger, wanted.subjects)
    if 0 not in left:
        amount = _portion(ledger, wanted.subjects, left)
        draft.add(TrancheGranted(**_fields(workspace_id, attempt_id, wanted), **amount._asdict()))
    elif len(ledger.waiting) < WAITING_MAX or attempt_id in ledger.waiting:
        if attempt_id not in ledger.waiting:
            reason = "all that is left of a budget is given out to other attempts"
            draft.add(TrancheDeferred(**_fields(workspace_id, attempt_id, wanted), reason=reason))
    else:
        reason = f"all that is left of a budget is given out, and {WAITING_MAX} attempts wait for some of it"
        _refuse(draft, workspace_id, attempt_id, wanted, wanted.subjects[0], reason)


def _fields(workspace_id: str, attempt_id: str, tranche: Tranche) -> dict[str, Any]:
    fields = tranche._asdict()
    del fields["amount"]
    return {"workspace_id": workspace_id, "attempt_id": attempt_id, **fields}


def _refuse(
    draft: Draft[Budgets], workspace_id: str, attempt_id: str, wanted: Tranche, subject: str, reason: str
) -> None:
    fields = _fields(workspace_id, attempt_id, wanted)
    del fields["subjects"], fields["expires_at_ms"]
    draft.add(TrancheRefused(**fields, subject=subject, reason=reason))
    _tell_levels(draft, workspace_id, (subject,))


def _find_spent(ledger: Ledger, subjects: tuple[str, ...]) -> tuple[str, str] | None:
    """The first budget that is used up, and that in words."""
    for subject in subjects:
        limit, spent = ledger.limit(subject), ledger.account(subject).spent
        if limit is None:
            continue
        for unit, most, used in zip((TOKENS, COST), limit, spent, strict=True):
            if NO_LIMIT < most <= used:
                return subject, f"the budget of {subject} is used up: {used} of {most} {unit} are spent"
    return None


def _left(ledger: Ledger, subjects: tuple[str, ...]) -> Amount:
    """What may still be given out, -1 where there is no limit: what nobody has accounted for counts as spent."""
    left = []
    for at in (0, 1):
        rooms = [
            max(0, limit[at] - ledger.account(subject).spent[at] - ledger.account(subject).open[at])
            for subject in subjects
            if (limit := ledger.limit(subject)) is not None and limit[at] != NO_LIMIT
        ]
        left.append(min(rooms, default=NO_LIMIT))
    return Amount(*left)


def _portion(ledger: Ledger, subjects: tuple[str, ...], left: Amount) -> Amount:
    portions = []
    for at in (0, 1):
        limits = [limit[at] for subject in subjects if (limit := ledger.limit(subject)) and limit[at] != NO_LIMIT]
        part = max(1, min(TRANCHE_MAX[at], min(limits) // PARTS)) if limits else 0
        portions.append(min(left[at], part) if limits else NO_LIMIT)
    return Amount(*portions)


def _account(draft: Draft[Budgets], heard: Envelope) -> None:
    report: UsageReported = heard.record
    workspace_id, attempt_id = report.workspace_id, report.attempt_id
    tranche = draft.state.of(workspace_id).tranches.get(attempt_id)
    if tranche is None:
        if report.final and attempt_id not in draft.state.seen:  # before its assignment was heard
            draft.add(_settlement(workspace_id, attempt_id, None, Amount(), final=True))
        return
    if (report.number, report.node_session) != (tranche.number, tranche.node_session):
        return
    used = Amount(report.usage.input_tokens + report.usage.output_tokens, report.usage.cost_micros)
    if not report.known:
        used = Amount(*map(max, used, tranche.amount))
    draft.add(_settlement(workspace_id, attempt_id, tranche, used, final=report.final, reported=report.known))
    _tell_levels(draft, workspace_id, tranche.subjects)
    if not report.final:
        _give(draft, workspace_id, attempt_id, tranche._replace(number=tranche.number + 1, amount=Amount()))
    _serve(draft, workspace_id)


def _settlement(
    workspace_id: str, attempt_id: str, tranche: Tranche | None, used: Amount, *, final: bool, reported: bool = True
) -> TrancheSettled:
    return TrancheSettled(
        workspace_id=workspace_id,
        attempt_id=attempt_id,
        number=tranche.number if tranche else 0,
        tokens=used.tokens,
        cost_micros=used.cost_micros,
        subjects=tranche.subjects if tranche else (),
        final=final,
        reported=reported,
    )


def _expire(draft: Draft[Budgets], reached: DeadlineReached) -> None:
    attempt_id, _, workspace_id = reached.id.partition(":")
    tranche = draft.state.of(workspace_id).tranches[attempt_id]
    draft.add(_settlement(workspace_id, attempt_id, tranche, tranche.amount, final=True, reported=False))
    _tell_levels(draft, workspace_id, tranche.subjects)
    _serve(draft, workspace_id)


def _serve(draft: Draft[Budgets], workspace_id: str) -> None:
    """Give to those who wait, first come first served; who cannot be given anything yet waits on."""
    for attempt_id in draft.state.of(workspace_id).waiting[:SERVED_MAX]:
        ledger = draft.state.of(workspace_id)
        _give(draft, workspace_id, attempt_id, ledger.tranches[attempt_id])


def _tell_levels(draft: Draft[Budgets], workspace_id: str, subjects: tuple[str, ...]) -> None:
    for subject in subjects:
        ledger = draft.state.of(workspace_id)
        limit, account = ledger.limit(subject), ledger.account(subject)
        if limit is None:
            continue
        for at, unit in enumerate((TOKENS, COST)):
            spent, most = account.spent[at], limit[at]
            percent = 100 * spent // most if most > 0 else 100 if most == 0 else 0
            for level in LEVELS:
                if account.told[at] < level <= percent:
                    draft.add(
                        BudgetCrossed(
                            workspace_id=workspace_id,
                            subject=subject,
                            unit=unit,
                            percent=level,
                            spent=spent,
                            limit=most,
                        )
                    )


def _close(draft: Draft[Budgets], heard: Envelope) -> None:
    ended: RunEnded | InstanceEnded = heard.record
    subject = f"run:{ended.run_id}" if isinstance(ended, RunEnded) else f"instance:{ended.instance_id}"
    if subject in draft.state.of(ended.workspace_id).accounts:
        draft.add(BudgetClosed(workspace_id=ended.workspace_id, subject=subject))


_ANSWERS: Mapping[type[Record], Callable[[Draft[Budgets], Envelope], None]] = {
    BudgetSetRequested: _set,
    TaskAssigned: _assign,
    UsageReported: _account,
    RunEnded: _close,
    InstanceEnded: _close,
}

BUDGETS: Role[Budgets] = Role(
    name="allocator.budgets",
    home="event",
    hears=frozenset(_ANSWERS),
    says=frozenset(FOLDS),
    initial=Budgets,
    decide=decide,
    evolve=evolve,
    deadlines=lambda budgets: budgets.deadlines,
)
