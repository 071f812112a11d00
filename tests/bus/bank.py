"""A small language and three roles for tests of the bus: deposits are split over accounts, posted to a safe, receipted.

The teller hears asks, which anybody may repeat, and therefore remembers their ids. The clerk and the safe remember
nothing: that they never act twice on a fact or a post is the bus's promise alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import Draft, Role
from bus.record import Ask, DeadlineReached, Envelope, Fact, Posted, Report

UNLUCKY = 13
REMINDERS = 2
"""How often a deposit is reminded of, one deadline after the other under one name."""


class DepositRequested(Ask, channel="task"):
    workspace_id: str
    amount: int
    accounts: int = 1  # one fact for each
    remind_ms: int = 0
    digest: str = ""  # content without which it cannot be decided
    wants_receipt: bool = False


class CoinDropped(Report, channel="task"):
    workspace_id: str


class Deposited(Fact, channel="task"):
    workspace_id: str
    account: int
    amount: int
    total: int
    ask_id: str
    remind_ms: int = 0
    receipt: str = ""  # digest of what the decision itself wrote


class DepositRefused(Fact, channel="task"):
    workspace_id: str
    ask_id: str
    reason: str


class CoinCounted(Fact, channel="task"):
    workspace_id: str
    number: int


class Reminded(Fact, channel="task"):
    workspace_id: str
    ask_id: str
    round: int


class Forwarded(Posted, channel="event", addressee="vault.safe"):
    workspace_id: str
    account: int
    amount: int
    ask_id: str

    def address(self) -> str:
        return f"safe:{self.workspace_id}"


class Stored(Fact, channel="event"):
    workspace_id: str
    account: int
    amount: int
    total: int
    ask_id: str


class Receipt(Posted, channel="event", addressee="bank.clerk"):
    workspace_id: str
    account: int
    ask_id: str

    def address(self) -> str:
        return self.workspace_id


class Receipted(Fact, channel="event"):
    workspace_id: str
    account: int
    ask_id: str


LANGUAGE = (
    DepositRequested,
    CoinDropped,
    Deposited,
    DepositRefused,
    CoinCounted,
    Reminded,
    Forwarded,
    Stored,
    Receipt,
    Receipted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """A deposit that is to be reminded of."""

    workspace_id: str
    every_ms: int
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """What the teller knows."""

    totals: Map[str, int] = field(default_factory=Map)  # by workspace/account
    coins: Map[str, int] = field(default_factory=Map)
    answered: Map[str, str] = field(default_factory=Map)  # asks by id
    reminders: Map[str, Reminder] = field(default_factory=Map)
    deadlines: Deadlines = field(default_factory=Deadlines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the clerk knows, and the safe: sums by workspace."""

    totals: Map[str, int] = field(default_factory=Map)
    receipts: int = 0


def decide_teller(draft: Draft[Till], heard: Envelope) -> None:
    match heard.record:
        case DepositRequested(amount=13):
            raise ValueError("thirteen is unlucky")
        case DepositRequested() as ask if heard.id not in draft.state.answered:
            _answer(draft, ask, heard.id)
        case CoinDropped() as coin:
            number = draft.state.coins.get(coin.workspace_id, 0) + 1
            draft.add(CoinCounted(workspace_id=coin.workspace_id, number=number))
        case DeadlineReached(id=ask_id):
            reminder = draft.state.reminders[ask_id]
            draft.add(Reminded(workspace_id=reminder.workspace_id, ask_id=ask_id, round=reminder.round + 1))


def _answer(draft: Draft[Till], ask: DepositRequested, ask_id: str) -> None:
    if ask.digest and draft.blobs[ask.digest] is None:
        reason = f"the store lacks {ask.digest}"
        draft.add(DepositRefused(workspace_id=ask.workspace_id, ask_id=ask_id, reason=reason))
        return
    receipt = draft.keep(f"receipt for {ask_id}".encode()) if ask.wants_receipt else ""
    for account in range(ask.accounts):
        total = draft.state.totals.get(f"{ask.workspace_id}/{account}", 0) + ask.amount
        fact = Deposited(
            workspace_id=ask.workspace_id,
            account=account,
            amount=ask.amount,
            total=total,
            ask_id=ask_id,
            remind_ms=ask.remind_ms,
            receipt=receipt,
        )
        draft.add(fact)


def evolve_teller(state: Till, fact: Fact, time_ms: int) -> Till:
    match fact:
        case Deposited():
            totals = state.totals.set(f"{fact.workspace_id}/{fact.account}", fact.total)
            return _remind(replace(state, totals=totals, answered=state.answered.set(fact.ask_id, "")), fact, time_ms)
        case DepositRefused():
            return replace(state, answered=state.answered.set(fact.ask_id, fact.reason))
        case CoinCounted():
            return replace(state, coins=state.coins.set(fact.workspace_id, fact.number))
        case Reminded():
            return _reminded(state, fact, time_ms)
    raise AssertionError(f"unknown fact {fact!r}")


def _remind(state: Till, fact: Deposited, time_ms: int) -> Till:
    if not fact.remind_ms or fact.account:
        return state
    reminder = Reminder(workspace_id=fact.workspace_id, every_ms=fact.remind_ms, round=0)
    return replace(
        state,
        reminders=state.reminders.set(fact.ask_id, reminder),
        deadlines=state.deadlines.set(fact.ask_id, time_ms + fact.remind_ms),
    )


def _reminded(state: Till, fact: Reminded, time_ms: int) -> Till:
    reminder = state.reminders[fact.ask_id]
    if fact.round == REMINDERS:
        deadlines = state.deadlines.clear(fact.ask_id)
        return replace(state, reminders=state.reminders.delete(fact.ask_id), deadlines=deadlines)
    return replace(
        state,
        reminders=state.reminders.set(fact.ask_id, replace(reminder, round=fact.round)),
        deadlines=state.deadlines.set(fact.ask_id, time_ms + reminder.every_ms),
    )


def decide_clerk(draft: Draft[Desk], heard: Envelope) -> None:
    match heard.record:
        case Deposited() as fact:
            draft.add(
                Forwarded(workspace_id=fact.workspace_id, account=fact.account, amount=fact.amount, ask_id=fact.ask_id)
            )
        case Receipt() as receipt:
            draft.add(Receipted(workspace_id=receipt.workspace_id, account=receipt.account, ask_id=receipt.ask_id))


def decide_safe(draft: Draft[Desk], heard: Envelope) -> None:
    match heard.record:
        case Forwarded() as post:
            total = draft.state.totals.get(post.workspace_id, 0) + post.amount
            draft.add(
                Stored(
                    workspace_id=post.workspace_id,
                    account=post.account,
                    amount=post.amount,
                    total=total,
                    ask_id=post.ask_id,
                )
            )
            draft.add(Receipt(workspace_id=post.workspace_id, account=post.account, ask_id=post.ask_id))


def evolve_desk(state: Desk, fact: Fact, time_ms: int) -> Desk:
    match fact:
        case Forwarded() | Stored():
            total = state.totals.get(fact.workspace_id, 0) + fact.amount
            return replace(state, totals=state.totals.set(fact.workspace_id, total))
        case Receipt() | Receipted():
            return replace(state, receipts=state.receipts + 1)
    raise AssertionError(f"unknown fact {fact!r}")


def _needs(state: Till, heard: Envelope) -> tuple[str, ...]:
    digest = getattr(heard.record, "digest", "")
    return (digest,) if digest else ()


TELLER: Role[Till] = Role(
    name="bank.teller",
    home="task",
    hears=frozenset({DepositRequested, CoinDropped}),
    says=frozenset({Deposited, DepositRefused, CoinCounted, Reminded}),
    quarantines=frozenset({"task"}),
    initial=Till,
    decide=decide_teller,
    evolve=evolve_teller,
    deadlines=lambda state: state.deadlines,
    needs=_needs,
)
CLERK: Role[Desk] = Role(
    name="bank.clerk",
    home="event",
    hears=frozenset({Deposited, Receipt}),
    says=frozenset({Forwarded, Receipted}),
    quarantines=frozenset({"event"}),
    initial=Desk,
    decide=decide_clerk,
    evolve=evolve_desk,
)
SAFE: Role[Desk] = Role(
    name="vault.safe",
    home="event",
    hears=frozenset({Forwarded}),
    says=frozenset({Stored, Receipt}),
    initial=Desk,
    decide=decide_safe,
    evolve=evolve_desk,
)
ROLES: tuple[Role[Any], ...] = (TELLER, CLERK, SAFE)
HOMES = {role.name: role.home for role in ROLES}
