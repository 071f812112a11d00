"""A small language and three roles for tests of the bus: deposits are counted, forwarded by posts, stored elsewhere."""

from dataclasses import dataclass, field, replace
from typing import Any

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import Draft, Role
from bus.record import Ask, DeadlineReached, Envelope, Fact, Posted


class DepositRequested(Ask, channel="task"):
    workspace_id: str
    amount: int
    digest: str = ""


class Deposited(Fact, channel="task"):
    workspace_id: str
    amount: int
    total: int
    ask_id: str


class Reminded(Fact, channel="task"):
    workspace_id: str
    name: str


class Forwarded(Posted, channel="event", addressee="vault.safe"):
    workspace_id: str
    amount: int
    ask_id: str

    def address(self) -> str:
        return f"safe:{self.workspace_id}"


class Stored(Fact, channel="event"):
    workspace_id: str
    amount: int
    ask_id: str


LANGUAGE = (DepositRequested, Deposited, Reminded, Forwarded, Stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    totals: Map[str, int] = field(default_factory=Map)
    seen: Map[str, int] = field(default_factory=Map)
    deadlines: Deadlines = field(default_factory=Deadlines)


def decide_teller(draft: Draft[Account], heard: Envelope) -> None:
    match heard.record:
        case DepositRequested(amount=13):
            raise ValueError("thirteen is unlucky")
        case DepositRequested() as ask if heard.id not in draft.state.seen:
            total = draft.state.totals.get(ask.workspace_id, 0) + ask.amount
            draft.add(Deposited(workspace_id=ask.workspace_id, amount=ask.amount, total=total, ask_id=heard.id))
        case DeadlineReached(id=name):
            draft.add(Reminded(workspace_id="w", name=name))


def evolve_teller(state: Account, fact: Fact, time_ms: int) -> Account:
    match fact:
        case Deposited():
            deadlines = state.deadlines.set(fact.ask_id, time_ms + 50) if fact.amount == 50 else state.deadlines
            return replace(
                state,
                totals=state.totals.set(fact.workspace_id, fact.total),
                seen=state.seen.set(fact.ask_id, fact.amount),
                deadlines=deadlines,
            )
        case Reminded():
            return replace(state, deadlines=state.deadlines.clear(fact.name))
    raise AssertionError(f"unknown fact {fact!r}")


def decide_clerk(draft: Draft[Account], heard: Envelope) -> None:
    match heard.record:
        case Deposited() as fact if fact.ask_id not in draft.state.seen:
            draft.add(Forwarded(workspace_id=fact.workspace_id, amount=fact.amount, ask_id=fact.ask_id))


def decide_safe(draft: Draft[Account], heard: Envelope) -> None:
    match heard.record:
        case Forwarded() as post if post.ask_id not in draft.state.seen:
            draft.add(Stored(workspace_id=post.workspace_id, amount=post.amount, ask_id=post.ask_id))


def evolve_sum(state: Account, fact: Fact, time_ms: int) -> Account:
    match fact:
        case Forwarded() | Stored():
            total = state.totals.get(fact.workspace_id, 0) + fact.amount
            return replace(
                state,
                totals=state.totals.set(fact.workspace_id, total),
                seen=state.seen.set(fact.ask_id, fact.amount),
            )
    raise AssertionError(f"unknown fact {fact!r}")


def _needs(state: Account, heard: Envelope) -> tuple[str, ...]:
    digest = getattr(heard.record, "digest", "")
    return (digest,) if digest else ()


TELLER: Role[Account] = Role(
    name="bank.teller",
    home="task",
    hears=frozenset({DepositRequested}),
    says=frozenset({Deposited, Reminded}),
    quarantines=frozenset({"task"}),
    initial=Account,
    decide=decide_teller,
    evolve=evolve_teller,
    deadlines=lambda state: state.deadlines,
    needs=_needs,
)
CLERK: Role[Account] = Role(
    name="bank.clerk",
    home="event",
    hears=frozenset({Deposited}),
    says=frozenset({Forwarded}),
    quarantines=frozenset({"event"}),
    initial=Account,
    decide=decide_clerk,
    evolve=evolve_sum,
)
SAFE: Role[Account] = Role(
    name="vault.safe",
    home="event",
    hears=frozenset({Forwarded}),
    says=frozenset({Stored}),
    initial=Account,
    decide=decide_safe,
    evolve=evolve_sum,
)
ROLES: tuple[Role[Any], ...] = (TELLER, CLERK, SAFE)
HOMES = {role.name: role.home for role in ROLES}
