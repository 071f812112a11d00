"""What each workspace may spend, has spent and has given out, as folded from the facts of the budgets."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import fold_by_type
from bus.record import Fact
from bus.seen import Seen
from services.records.budget import (
    EACH,
    NO_LIMIT,
    BudgetClosed,
    BudgetCrossed,
    BudgetRefused,
    BudgetSet,
    TrancheDeferred,
    TrancheGranted,
    TrancheRefused,
    TrancheSettled,
)

TOKENS, COST = "tokens", "cost_micros"


class Amount(NamedTuple):
    """Tokens and money; of a limit, -1 is none."""

    tokens: int = 0
    cost_micros: int = 0


class Account(NamedTuple):
    """What a subject has spent, what of its budget is given out and not accounted for, and the levels told of."""

    spent: Amount = Amount()
    open: Amount = Amount()
    told: Amount = Amount()  # percent


class Tranche(NamedTuple):
    """What an attempt has been given, or waits for."""

    run_id: str
    instance_id: str
    node_id: str
    node_session: str
    number: int
    amount: Amount
    subjects: tuple[str, ...]
    expires_at_ms: int


class Ledger(NamedTuple):
    """One workspace."""

    limits: Map[str, Amount] = Map()
    accounts: Map[str, Account] = Map()
    tranches: Map[str, Tranche] = Map()  # by attempt
    waiting: tuple[str, ...] = ()  # attempts, the first comes first

    def limit(self, subject: str) -> Amount | None:
        """The subject's own limit, else that of each one of its kind."""
        return self.limits.get(subject, self.limits.get(f"{subject.partition(':')[0]}:{EACH}"))

    def account(self, subject: str) -> Account:
        return self.accounts.get(subject, Account())

    def subjects(self, run_id: str, instance_id: str) -> tuple[str, ...]:
        """Those with a limit whose budgets an attempt is paid from."""
        names = ("workspace", f"run:{run_id}", f"instance:{instance_id}")
        return tuple(name for name in names if self.limit(name) is not None)


class Budgets(NamedTuple):
    """All workspaces of a partition."""

    ledgers: Map[str, Ledger] = Map()
    seen: Seen = Seen()  # asks that were answered and attempts that are over
    deadlines: Deadlines = Deadlines()

    def of(self, workspace_id: str) -> Ledger:
        return self.ledgers.get(workspace_id, Ledger())


def expiry_name(workspace_id: str, attempt_id: str) -> str:
    """Deadline of an attempt that owes an account."""
    return f"{attempt_id}:{workspace_id}"


def _with(state: Budgets, workspace_id: str, ledger: Ledger) -> Budgets:
    if ledger == Ledger():
        ledgers = state.ledgers.delete(workspace_id) if workspace_id in state.ledgers else state.ledgers
        return state._replace(ledgers=ledgers)
    return state._replace(ledgers=state.ledgers.set(workspace_id, ledger))


def _fold_set(state: Budgets, fact: BudgetSet, time_ms: int) -> Budgets:
    ledger, limit = state.of(fact.workspace_id), Amount(fact.tokens, fact.cost_micros)
    if limit == Amount(NO_LIMIT, NO_LIMIT):
        limits = ledger.limits.delete(fact.subject) if fact.subject in ledger.limits else ledger.limits
    else:
        limits = ledger.limits.set(fact.subject, limit)
    accounts = ledger.accounts
    if fact.subject in accounts:
        accounts = accounts.set(fact.subject, accounts[fact.subject]._replace(told=Amount()))
    state = _with(state, fact.workspace_id, ledger._replace(limits=limits, accounts=accounts))
    return state._replace(seen=state.seen.add(fact.ask_id, time_ms))


def _fold_refused(state: Budgets, fact: BudgetRefused, time_ms: int) -> Budgets:
    return state._replace(seen=state.seen.add(fact.ask_id, time_ms))


def _fold_granted(state: Budgets, fact: TrancheGranted, time_ms: int) -> Budgets:
    amount = Amount(max(0, fact.tokens), max(0, fact.cost_micros))
    ledger = _opened(state.of(fact.workspace_id), fact.subjects, amount)
    state = _with(state, fact.workspace_id, _with_tranche(ledger, fact, amount, waits=False))
    return _timed(state, fact)


def _fold_deferred(state: Budgets, fact: TrancheDeferred, time_ms: int) -> Budgets:
    state = _with(state, fact.workspace_id, _with_tranche(state.of(fact.workspace_id), fact, Amount(), waits=True))
    return _timed(state, fact)


def _with_tranche(ledger: Ledger, fact: TrancheGranted | TrancheDeferred, amount: Amount, *, waits: bool) -> Ledger:
    tranche = Tranche(
        fact.run_id,
        fact.instance_id,
        fact.node_id,
        fact.node_session,
        fact.number,
        amount,
        fact.subjects,
        fact.expires_at_ms,
    )
    others = tuple(name for name in ledger.waiting if name != fact.attempt_id)
    waiting = (*others, fact.attempt_id) if waits else others
    return ledger._replace(tranches=ledger.tranches.set(fact.attempt_id, tranche), waiting=waiting)


def _opened(ledger: Ledger, subjects: tuple[str, ...], amount: Amount) -> Ledger:
    accounts = ledger.accounts
    for subject in subjects:
        account = ledger.account(subject)
        accounts = accounts.set(subject, account._replace(open=_sum(account.open, amount)))
    return ledger._replace(accounts=accounts)


def _timed(state: Budgets, fact: TrancheGranted | TrancheDeferred) -> Budgets:
    name = expiry_name(fact.workspace_id, fact.attempt_id)
    return state._replace(deadlines=state.deadlines.set(name, fact.expires_at_ms))


def _fold_tranche_refused(state: Budgets, fact: TrancheRefused, time_ms: int) -> Budgets:
    return _ended(state, fact.workspace_id, fact.attempt_id, time_ms)


def _fold_settled(state: Budgets, fact: TrancheSettled, time_ms: int) -> Budgets:
    ledger = state.of(fact.workspace_id)
    tranche = ledger.tranches.get(fact.attempt_id)
    if tranche is not None:
        used, accounts = Amount(fact.tokens, fact.cost_micros), ledger.accounts
        for subject in tranche.subjects:
            if subject in accounts:  # otherwise it was closed meanwhile
                account = accounts[subject]
                spent, still_open = _sum(account.spent, used), _difference(account.open, tranche.amount)
                accounts = accounts.set(subject, account._replace(spent=spent, open=still_open))
        tranches = ledger.tranches.set(fact.attempt_id, tranche._replace(amount=Amount()))
        state = _with(state, fact.workspace_id, ledger._replace(accounts=accounts, tranches=tranches))
    return _ended(state, fact.workspace_id, fact.attempt_id, time_ms) if fact.final else state


def _ended(state: Budgets, workspace_id: str, attempt_id: str, time_ms: int) -> Budgets:
    """Without an attempt; what it was given has been accounted for."""
    ledger = state.of(workspace_id)
    if attempt_id in ledger.tranches:
        waiting = tuple(name for name in ledger.waiting if name != attempt_id)
        ledger = ledger._replace(tranches=ledger.tranches.delete(attempt_id), waiting=waiting)
        state = _with(state, workspace_id, ledger)
    deadlines = state.deadlines.clear(expiry_name(workspace_id, attempt_id))
    return state._replace(seen=state.seen.add(attempt_id, time_ms), deadlines=deadlines)


def _fold_crossed(state: Budgets, fact: BudgetCrossed, time_ms: int) -> Budgets:
    ledger = state.of(fact.workspace_id)
    account = ledger.account(fact.subject)
    told = account.told._replace(**{fact.unit: fact.percent})
    accounts = ledger.accounts.set(fact.subject, account._replace(told=told))
    return _with(state, fact.workspace_id, ledger._replace(accounts=accounts))


def _fold_closed(state: Budgets, fact: BudgetClosed, time_ms: int) -> Budgets:
    ledger = state.of(fact.workspace_id)
    return _with(state, fact.workspace_id, ledger._replace(accounts=ledger.accounts.delete(fact.subject)))


def _sum(a: Amount, b: Amount) -> Amount:
    return Amount(a.tokens + b.tokens, a.cost_micros + b.cost_micros)


def _difference(a: Amount, b: Amount) -> Amount:
    return Amount(a.tokens - b.tokens, a.cost_micros - b.cost_micros)


FOLDS: Mapping[type[Fact], Callable[[Budgets, Any, int], Budgets]] = {
    BudgetSet: _fold_set,
    BudgetRefused: _fold_refused,
    TrancheGranted: _fold_granted,
    TrancheDeferred: _fold_deferred,
    TrancheRefused: _fold_tranche_refused,
    TrancheSettled: _fold_settled,
    BudgetCrossed: _fold_crossed,
    BudgetClosed: _fold_closed,
}

evolve = fold_by_type("allocator.budgets", FOLDS)
"""The budgets after one of their facts."""
