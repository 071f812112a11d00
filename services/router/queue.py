"""Tasks that wait, in the order of their priority and age.

The effective priority of a task is its priority plus one point for each `AGEING_MS` that it has waited. All tasks age
alike, so their order never changes while they wait and one fixed rank says it; nobody is overtaken for ever.
"""

from typing import NamedTuple, TypeAlias

from bus.deadline import Deadlines
from services.records.content import Work

AGEING_MS = 10_000
"""Waiting time that is worth one point of priority."""

PRIORITY_MAX = 100
"""Highest priority that counts, and below zero the lowest."""

_ARRIVALS = 1 << 40

Levels: TypeAlias = tuple[tuple[str, int], ...]

DemandKey: TypeAlias = tuple[bool, str, Levels]
"""Whether it may wait for ever, the agent, the least skill levels: waiting tasks equal in these are one demand. Those
that may wait for ever stand apart because a refusal ends them all."""


class Demand(NamedTuple):
    """The waiting tasks of a profession that any instance can take that can take one of them."""

    key: DemandKey
    ranks: Deadlines  # of attempts; the first is the next

    @property
    def is_patient(self) -> bool:
        return self.key[0]

    @property
    def agent(self) -> str:
        return self.key[1]

    @property
    def least(self) -> Levels:
        return self.key[2]


class Place(NamedTuple):
    """Where an attempt waits."""

    demand: DemandKey
    rank: int


def demand_of(work: Work) -> DemandKey:
    return work.queue_timeout_ms <= 0, work.agent, least_levels(work)


def least_levels(work: Work) -> Levels:
    return tuple(sorted(work.skills.items())) if work.skills else ()


def rank_of(priority: int, queued_at_ms: int, arrival: int) -> int:
    """The smallest goes first: a point of priority is worth `AGEING_MS`, the earlier of two equals wins."""
    points = max(-PRIORITY_MAX, min(PRIORITY_MAX, priority))
    return (queued_at_ms - points * AGEING_MS) * _ARRIVALS + arrival


def queued(demands: tuple[Demand, ...], attempt_id: str, place: Place) -> tuple[Demand, ...]:
    """With this attempt waiting there."""
    for at, demand in enumerate(demands):
        if demand.key == place.demand:
            return (*demands[:at], Demand(demand.key, demand.ranks.set(attempt_id, place.rank)), *demands[at + 1 :])
    demand = Demand(place.demand, Deadlines().set(attempt_id, place.rank))
    return tuple(sorted((*demands, demand), key=lambda one: one.key))


def unqueued(demands: tuple[Demand, ...], attempt_id: str, place: Place) -> tuple[Demand, ...]:
    """Without this attempt."""
    at = next(at for at, demand in enumerate(demands) if demand.key == place.demand)
    ranks = demands[at].ranks.clear(attempt_id)
    left = (Demand(place.demand, ranks),) if len(ranks) else ()
    return (*demands[:at], *left, *demands[at + 1 :])


def in_order(demand: Demand) -> tuple[str, ...]:
    """All its attempts, the next one first."""
    return tuple(attempt_id for _, attempt_id in sorted((rank, attempt_id) for attempt_id, rank in demand.ranks))
