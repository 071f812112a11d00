"""A crew: the instances of one profession in a workspace, those on their way to it, and the tasks that wait for it."""

from bisect import bisect_left
from typing import NamedTuple

from immutables import Map

from services.router.instance import COMING, READY, Instance, KindKey, listing
from services.router.queue import Demand, Levels


class Kind(NamedTuple):
    """The ready instances of a crew that are equal in agent and skills, so that a task fits all of them or none."""

    key: KindKey
    levels: Map[str, int]
    members: int
    free: tuple[tuple[int, str], ...]  # listings of those with a free slot, the best first

    @property
    def agent(self) -> str:
        return self.key[0]


class Hope(NamedTuple):
    """An instance that is on its way: a need that was said, or an instance that is coming."""

    hope_id: str
    agent: str


class Crew(NamedTuple):
    kinds: tuple[Kind, ...] = ()
    demands: tuple[Demand, ...] = ()
    needs: tuple[Hope, ...] = ()
    coming: tuple[Hope, ...] = ()
    on_demand: tuple[str, ...] = ()  # instances that were made on demand, until they are gone
    deferred: bool = False
    refused_at_ms: int = 0  # when an instance more was last refused, while others were there
    size: tuple[int, int] | None = None  # most on demand, and their idle time, as its warm pool says

    @property
    def is_empty(self) -> bool:
        there = self.kinds or self.demands or self.needs or self.coming or self.on_demand or self.deferred
        return not there and self.size is None


NOBODY = Crew()


def has_agent(kind: Kind, agent: str) -> bool:
    return not agent or kind.key[0] == agent


def has_levels(kind: Kind, least: Levels) -> bool:
    for skill, level in least:  # noqa: SIM110 — of all questions this one is asked most
        if kind.levels.get(skill, 0) < level:
            return False
    return True


def has_free(crew: Crew, agent: str, least: Levels = ()) -> bool:
    """Whether some instance with this agent and these levels has a free slot."""
    return any(kind.free and has_agent(kind, agent) and has_levels(kind, least) for kind in crew.kinds)


def is_hoped_for(crew: Crew, agent: str) -> bool:
    """Whether an instance with this agent is on its way."""
    return any(not agent or hope.agent == agent for hope in (*crew.needs, *crew.coming))


def is_possible(crew: Crew, agent: str) -> bool:
    """Whether an instance with this agent is there or on its way."""
    return is_hoped_for(crew, agent) or any(has_agent(kind, agent) for kind in crew.kinds)


def next_up(crew: Crew) -> str:
    """The attempt of the highest effective priority that a free instance can take, or an empty string."""
    best: tuple[int, str] | None = None
    for demand in crew.demands:
        first = demand.ranks.first()
        if first and (best is None or first < best) and has_free(crew, demand.agent, demand.least):
            best = first
    return best[1] if best else ""


def relisted(crew: Crew, before: Instance, after: Instance) -> Crew:
    """With an instance of changed load or history; its kind and status are as before."""
    if after.status != READY:
        return crew
    kinds = crew.kinds
    at = _index(kinds, after.kind)
    kind = kinds[at]
    free = _listed(_unlisted(kind.free, before), after)
    return Crew((*kinds[:at], Kind(kind.key, kind.levels, kind.members, free), *kinds[at + 1 :]), *crew[1:])


def joined(crew: Crew, instance: Instance) -> Crew:
    """With an instance that was not there."""
    if instance.on_demand:
        crew = crew._replace(on_demand=(*crew.on_demand, instance.instance_id))
    if instance.status == COMING:
        return crew._replace(coming=(*crew.coming, Hope(instance.instance_id, instance.kind[0])))
    if instance.status != READY:
        return crew
    kinds = {kind.key: kind for kind in crew.kinds}
    kind = kinds.get(instance.kind) or Kind(instance.kind, Map(instance.kind[1]), 0, ())
    kinds[kind.key] = kind._replace(members=kind.members + 1, free=_listed(kind.free, instance))
    return crew._replace(kinds=tuple(kinds[key] for key in sorted(kinds)))


def left(crew: Crew, instance: Instance) -> Crew:
    """Without an instance that was there."""
    name = instance.instance_id
    if instance.on_demand:
        crew = crew._replace(on_demand=tuple(one for one in crew.on_demand if one != name))
    if instance.status == COMING:
        return crew._replace(coming=tuple(hope for hope in crew.coming if hope.hope_id != name))
    if instance.status != READY:
        return crew
    at = _index(crew.kinds, instance.kind)
    kind = crew.kinds[at]
    kind = kind._replace(members=kind.members - 1, free=_unlisted(kind.free, instance))
    return crew._replace(kinds=(*crew.kinds[:at], *((kind,) if kind.members else ()), *crew.kinds[at + 1 :]))


def _index(kinds: tuple[Kind, ...], key: KindKey) -> int:
    at = 0
    while kinds[at].key != key:
        at += 1
    return at


def _listed(free: tuple[tuple[int, str], ...], instance: Instance) -> tuple[tuple[int, str], ...]:
    if not instance.is_free:
        return free
    entry = listing(instance)
    at = bisect_left(free, entry)
    return (*free[:at], entry, *free[at:])


def _unlisted(free: tuple[tuple[int, str], ...], instance: Instance) -> tuple[tuple[int, str], ...]:
    if not instance.is_free:
        return free
    at = bisect_left(free, listing(instance))
    return free[:at] + free[at + 1 :]
