"""The instances that live, each at one point of its life, as folded from the factory's own facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import fold_by_type
from bus.record import Fact
from bus.seen import Seen
from services.records.content import Terms
from services.records.event import (
    CapacityReleased,
    CapacityRequested,
    CreationStepFailed,
    CreationStepTaken,
    InstanceAccepted,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRefused,
    InstanceRestarting,
    InstanceStarting,
    InstanceStopping,
    WarmPoolRefused,
    WarmPoolSet,
    WarmPoolStarved,
)

GRANT_WAIT_MS = 60_000
"""How long an instance waits for the pool's answer; longer than a pool without a node keeps a request."""

START_WAIT_MS = 30_000
"""How long a worker may take from `InstanceStarting` to its node's report that it runs."""

STOP_WAIT_MS = 30_000
"""After this time without a report that the worker is gone, its node is told again to stop it; then after twice it …"""

STOP_WAIT_MS_MAX = 3_600_000
"""Longest time between two such orders."""

RESTARTING = "restarting"
"""How a worker is stopped whose instance goes on with another one."""

Phase = Literal["waiting", "starting", "ready", "draining", "stopping"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance: what was asked for, where it runs, and how it will have ended once it is being stopped."""

    order: InstanceAccepted
    phase: Phase = "waiting"
    grant_id: str = ""  # held or asked for; empty when given back
    grants: int = 0  # asked for so far
    avoid: tuple[str, ...] = ()  # nodes where its creation failed
    node_id: str = ""
    node_session: str = ""
    incarnation: int = 0
    reason: str = ""  # of its end to come
    status: str = ""
    step: str = ""
    orders_to_stop: int = 0
    profession_digest: str = ""
    skills: Mapping[str, int] = field(default_factory=dict)
    terms: Terms | None = None
    restarts: bool = False  # its worker is to go, and another one to come

    @property
    def stays(self) -> bool:
        """Whether it is there for tasks, or on its way to be."""
        return self.restarts or self.phase in ("waiting", "starting", "ready")

    def is_worker(self, node_session: str, incarnation: int) -> bool:
        """Whether the worker that a report names is the open one."""
        return bool(node_session) and (node_session, incarnation) == (self.node_session, self.incarnation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headcount:
    """How many instances of a workspace live."""

    total: int = 0
    on_demand: Map[str, int] = Map()  # by profession; those that nobody asked for by name
    staying: Map[str, int] = Map()  # those of them that are not about to end


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPool:
    """How many instances of a profession are kept at hand."""

    order: WarmPoolSet
    failures: int = 0  # since the last one that was ready
    retried_at_ms: int = 0  # before that no instance is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """All instances of a partition that live."""

    live: Map[str, Instance] = Map()
    headcounts: Map[str, Headcount] = Map()  # by workspace
    warm: Map[str, WarmPool] = Map()  # by `warm_name`
    seen: Seen = Seen()  # asks and needs that were answered
    deadlines: Deadlines = Deadlines()  # by instance, or by the name of a warm pool

    def find(self, workspace_id: str, instance_id: str) -> Instance | None:
        """An instance of this workspace that lives."""
        instance = self.live.get(instance_id)
        return instance if instance and instance.order.workspace_id == workspace_id else None

    def headcount(self, workspace_id: str) -> Headcount:
        return self.headcounts.get(workspace_id, Headcount())

    def warm_pool(self, workspace_id: str, profession: str) -> WarmPool | None:
        return self.warm.get(warm_name(workspace_id, profession))


WARM = "warm "
"""How the names of warm pools begin; no id of an instance does."""


def warm_name(workspace_id: str, profession: str) -> str:
    """Of a warm pool and of its deadline."""
    return f"{WARM}{len(workspace_id)} {workspace_id} {profession}"


def _changed(state: Instances, instance_id: str, wake_at_ms: int | None = None, **changes: Any) -> Instances:
    """With an instance changed, to be looked at again at that time or not at all."""
    before = state.live[instance_id]
    after = replace(before, **changes)
    deadlines = (
        state.deadlines.clear(instance_id) if wake_at_ms is None else state.deadlines.set(instance_id, wake_at_ms)
    )
    if before.stays != after.stays:
        state = replace(state, headcounts=_counted(state, before, after))
    return replace(state, live=state.live.set(instance_id, after), deadlines=deadlines)


def _counted(state: Instances, before: Instance | None, after: Instance | None) -> Map[str, Headcount]:
    """The headcounts once an instance is this instead of that."""
    order = (after or before).order  # type: ignore[union-attr]  # one of the two is there
    known, total = state.headcount(order.workspace_id), bool(after) - bool(before)
    on_demand, staying = known.on_demand, known.staying
    if order.on_demand:
        stays = (after is not None and after.stays) - (before is not None and before.stays)
        on_demand, staying = _added(on_demand, order.profession, total), _added(staying, order.profession, stays)
    counted = Headcount(total=known.total + total, on_demand=on_demand, staying=staying)
    if counted.total:
        return state.headcounts.set(order.workspace_id, counted)
    return state.headcounts.delete(order.workspace_id)


def _added(counts: Map[str, int], name: str, change: int) -> Map[str, int]:
    count = counts.get(name, 0) + change
    if count:
        return counts.set(name, count)
    return counts.delete(name) if name in counts else counts


def _fold_accepted(state: Instances, fact: InstanceAccepted, time_ms: int) -> Instances:
    instance = Instance(order=fact, profession_digest=fact.profession_digest, skills=fact.skills, terms=fact.terms)
    state = replace(
        state,
        live=state.live.set(fact.instance_id, instance),
        headcounts=_counted(state, None, instance),
        seen=state.seen.add(fact.ask_id, time_ms),
        deadlines=state.deadlines.set(fact.instance_id, time_ms + GRANT_WAIT_MS),
    )
    return _contented(state, fact.workspace_id, fact.profession) if fact.on_demand else state


def _contented(state: Instances, workspace_id: str, profession: str) -> Instances:
    """A warm pool that lacks nothing is not looked at again."""
    pool = state.warm_pool(workspace_id, profession)
    if pool is None or state.headcount(workspace_id).staying.get(profession, 0) < pool.order.least:
        return state
    name = warm_name(workspace_id, profession)
    pool = replace(pool, retried_at_ms=0)
    return replace(state, warm=state.warm.set(name, pool), deadlines=state.deadlines.clear(name))


def _fold_refused(state: Instances, fact: InstanceRefused | WarmPoolRefused, time_ms: int) -> Instances:
    return replace(state, seen=state.seen.add(fact.ask_id, time_ms))


def _fold_nothing(state: Instances, fact: Fact, time_ms: int) -> Instances:
    return state


def _fold_requested(state: Instances, fact: CapacityRequested, time_ms: int) -> Instances:
    return _changed(
        state,
        fact.instance_id,
        time_ms + GRANT_WAIT_MS,
        phase="waiting",
        grant_id=fact.grant_id,
        grants=state.live[fact.instance_id].grants + 1,
        avoid=fact.avoid,
        node_id="",
        node_session="",
    )


def _fold_starting(state: Instances, fact: InstanceStarting, time_ms: int) -> Instances:
    return _changed(
        state,
        fact.instance_id,
        time_ms + START_WAIT_MS,
        phase="starting",
        restarts=False,
        orders_to_stop=0,
        node_id=fact.node_id,
        node_session=fact.node_session,
        incarnation=fact.incarnation,
    )


def _fold_ready(state: Instances, fact: InstanceReady, time_ms: int) -> Instances:
    state = _changed(state, fact.instance_id, phase="ready", grants=0, avoid=())
    pool = state.warm_pool(fact.workspace_id, fact.profession) if fact.on_demand else None
    if pool is None or not pool.failures:
        return state
    name = warm_name(fact.workspace_id, fact.profession)
    return replace(state, warm=state.warm.set(name, replace(pool, failures=0)))


def _fold_draining(state: Instances, fact: InstanceDraining, time_ms: int) -> Instances:
    """Whatever was said of a restart before: now it is to end."""
    if fact.ask_id:
        state = replace(state, seen=state.seen.add(fact.ask_id, time_ms))
    instance = state.live[fact.instance_id]
    if instance.phase == "ready":
        return _changed(state, fact.instance_id, phase="draining", reason=fact.reason)
    if not instance.restarts:
        return state
    at_ms = state.deadlines.times.get(fact.instance_id)
    return _changed(state, fact.instance_id, at_ms, restarts=False, reason=fact.reason)


def _fold_restarting(state: Instances, fact: InstanceRestarting, time_ms: int) -> Instances:
    return _changed(
        replace(state, seen=state.seen.add(fact.ask_id, time_ms)),
        fact.instance_id,
        state.deadlines.times.get(fact.instance_id),
        restarts=True,
        profession_digest=fact.profession_digest,
        skills=fact.skills,
        terms=fact.terms,
        reason=fact.reason,
    )


def _fold_stopping(state: Instances, fact: InstanceStopping, time_ms: int) -> Instances:
    orders = state.live[fact.instance_id].orders_to_stop
    return _changed(
        state,
        fact.instance_id,
        time_ms + min(STOP_WAIT_MS << min(orders, 30), STOP_WAIT_MS_MAX),
        phase="stopping",
        status=fact.status,
        step=fact.step,
        reason=fact.reason,
        orders_to_stop=orders + 1,
        restarts=fact.status == RESTARTING,
    )


def _fold_released(state: Instances, fact: CapacityReleased, time_ms: int) -> Instances:
    return _changed(state, fact.instance_id, grant_id="")


def _fold_ended(state: Instances, fact: InstanceEnded, time_ms: int) -> Instances:
    return replace(
        state,
        live=state.live.delete(fact.instance_id),
        headcounts=_counted(state, state.live[fact.instance_id], None),
        deadlines=state.deadlines.clear(fact.instance_id),
    )


def _fold_warm_set(state: Instances, fact: WarmPoolSet, time_ms: int) -> Instances:
    name = warm_name(fact.workspace_id, fact.profession)
    return replace(
        state,
        warm=state.warm.set(name, WarmPool(order=fact)),
        seen=state.seen.add(fact.ask_id, time_ms),
        deadlines=state.deadlines.clear(name),
    )


def _fold_starved(state: Instances, fact: WarmPoolStarved, time_ms: int) -> Instances:
    name = warm_name(fact.workspace_id, fact.profession)
    pool = state.warm[name]
    pool = replace(pool, failures=pool.failures + 1, retried_at_ms=fact.retried_at_ms)
    return replace(state, warm=state.warm.set(name, pool), deadlines=state.deadlines.set(name, fact.retried_at_ms))


FOLDS: Mapping[type[Fact], Callable[[Instances, Any, int], Instances]] = {
    InstanceAccepted: _fold_accepted,
    InstanceRefused: _fold_refused,
    CreationStepTaken: _fold_nothing,
    CreationStepFailed: _fold_nothing,
    CapacityRequested: _fold_requested,
    InstanceStarting: _fold_starting,
    InstanceReady: _fold_ready,
    InstanceDraining: _fold_draining,
    InstanceRestarting: _fold_restarting,
    InstanceStopping: _fold_stopping,
    CapacityReleased: _fold_released,
    InstanceEnded: _fold_ended,
    WarmPoolSet: _fold_warm_set,
    WarmPoolRefused: _fold_refused,
    WarmPoolStarved: _fold_starved,
}

evolve = fold_by_type("factory.instances", FOLDS)
"""The instances after one of the factory's facts."""
