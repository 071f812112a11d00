"""The language and the role of the ownership schedules: it hears asks and another role's facts, and posts what it
decides."""

from __future__ import annotations

from typing import NamedTuple

from bus.codec import Codec
from bus.decider import Draft, Role
from bus.record import Ask, Envelope, Fact, Posted


class WidthAsked(Ask, channel="data"):
    """How many facts it must lead to."""

    workspace_id: str
    width: int


class Told(Fact, channel="event"):
    """What the other role decided; also leads to so many facts."""

    workspace_id: str
    width: int


class Decided(Posted, channel="task", addressee="sink"):
    workspace_id: str
    choice: int  # depends on the state at that moment

    def address(self) -> str:
        return self.workspace_id


class Count(NamedTuple):
    """The role's state: how many decisions, and how many facts."""

    decisions: int = 0
    facts: int = 0


def _decide(draft: Draft[Count], heard: Envelope) -> None:
    choice = draft.state.decisions
    for _ in range(heard.record.width):
        draft.add(Decided(workspace_id="w", choice=choice))


def _evolve(state: Count, fact: Fact, time_ms: int) -> Count:
    assert isinstance(fact, Decided)
    return Count(fact.choice + 1, state.facts + 1)


DECIDER: Role[Count] = Role(
    name="R",
    home="task",
    hears=frozenset({WidthAsked, Told}),
    says=frozenset({Decided}),
    initial=Count,
    decide=_decide,
    evolve=_evolve,
)
HOMES = {"R": "task", "S": "event", "sink": "review"}
CODEC = Codec([WidthAsked, Told, Decided])
