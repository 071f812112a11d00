"""The instances that live, each at one point of its life, as folded from the factory's own facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from immutables import Map

from bus.deadline import Deadlines
from bus.errors import UnknownRecordType
from bus.record import Fact
from bus.seen import Seen
from services.records.event import (
    CapacityReleased,
    CapacityRequested,
    InstanceAccepted,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRefused,
    InstanceStarting,
    InstanceStopping,
)

GRANT_WAIT_MS = 60_000
"""How long an instance waits for the pool's answer; longer than a pool without a node keeps a request."""

START_WAIT_MS = 30_000
"""How long a worker may take from `InstanceStarting` to its node's report that it runs."""

STOP_WAIT_MS = 30_000
"""After this time without a report that the worker is gone, its node is told again to stop it; then after twice it …"""

STOP_WAIT_MS_MAX = 3_600_000
"""Longest time between two such orders."""

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

    def is_worker(self, node_session: str, incarnation: int) -> bool:
        """Whether the worker that a report names is the open one."""
        return bool(node_session) and (node_session, incarnation) == (self.node_session, self.incarnation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headcount:
    """How many instances of a workspace live."""

    total: int = 0
    on_demand: Map[str, int] = Map()  # by profession


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """All instances of a partition that live."""

    live: Map[str, Instance] = Map()
    headcounts: Map[str, Headcount] = Map()  # by workspace
    seen: Seen = Seen()  # asks and needs that were answered
    deadlines: Deadlines = Deadlines()  # by instance

    def find(self, workspace_id: str, instance_id: str) -> Instance | None:
        """An instance of this workspace that lives."""
        instance = self.live.get(instance_id)
        return instance if instance and instance.order.workspace_id == workspace_id else None

    def headcount(self, workspace_id: str) -> Headcount:
        return self.headcounts.get(workspace_id, Headcount())


def evolve(state: Instances, fact: Fact, time_ms: int) -> Instances:
    """The instances after one of the factory's facts."""
    fold = FOLDS.get(type(fact))
    if fold is None:
        raise UnknownRecordType(f"factory.instances cannot fold a {type(fact).__name__}")
    return fold(state, fact, time_ms)


def _changed(state: Instances, instance_id: str, wake_at_ms: int | None = None, **changes: Any) -> Instances:
    """With an instance changed, to be looked at again at that time or not at all."""
    instance = replace(state.live[instance_id], **changes)
    deadlines = (
        state.deadlines.clear(instance_id) if wake_at_ms is None else state.deadlines.set(instance_id, wake_at_ms)
    )
    return replace(state, live=state.live.set(instance_id, instance), deadlines=deadlines)


def _counted(state: Instances, order: InstanceAccepted, change: int) -> Map[str, Headcount]:
    before = state.headcount(order.workspace_id)
    on_demand = before.on_demand
    if order.on_demand:
        count = on_demand.get(order.profession, 0) + change
        on_demand = on_demand.set(order.profession, count) if count else on_demand.delete(order.profession)
    after = Headcount(total=before.total + change, on_demand=on_demand)
    if after.total:
        return state.headcounts.set(order.workspace_id, after)
    return state.headcounts.delete(order.workspace_id)


def _fold_accepted(state: Instances, fact: InstanceAccepted, time_ms: int) -> Instances:
    return replace(
        state,
        live=state.live.set(fact.instance_id, Instance(order=fact)),
        headcounts=_counted(state, fact, 1),
        seen=state.seen.add(fact.ask_id, time_ms),
        deadlines=state.deadlines.set(fact.instance_id, time_ms + GRANT_WAIT_MS),
    )


def _fold_refused(state: Instances, fact: InstanceRefused, time_ms: int) -> Instances:
    return replace(state, seen=state.seen.add(fact.ask_id, time_ms))


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
        node_id=fact.node_id,
        node_session=fact.node_session,
        incarnation=fact.incarnation,
    )


def _fold_ready(state: Instances, fact: InstanceReady, time_ms: int) -> Instances:
    return _changed(state, fact.instance_id, phase="ready")


def _fold_draining(state: Instances, fact: InstanceDraining, time_ms: int) -> Instances:
    if fact.ask_id:
        state = replace(state, seen=state.seen.add(fact.ask_id, time_ms))
    if state.live[fact.instance_id].phase != "ready":
        return state
    return _changed(state, fact.instance_id, phase="draining", reason=fact.reason)


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
    )


def _fold_released(state: Instances, fact: CapacityReleased, time_ms: int) -> Instances:
    return _changed(state, fact.instance_id, grant_id="")


def _fold_ended(state: Instances, fact: InstanceEnded, time_ms: int) -> Instances:
    order = state.live[fact.instance_id].order
    return replace(
        state,
        live=state.live.delete(fact.instance_id),
        headcounts=_counted(state, order, -1),
        deadlines=state.deadlines.clear(fact.instance_id),
    )


FOLDS: Mapping[type[Fact], Callable[[Instances, Any, int], Instances]] = {
    InstanceAccepted: _fold_accepted,
    InstanceRefused: _fold_refused,
    CapacityRequested: _fold_requested,
    InstanceStarting: _fold_starting,
    InstanceReady: _fold_ready,
    InstanceDraining: _fold_draining,
    InstanceStopping: _fold_stopping,
    CapacityReleased: _fold_released,
    InstanceEnded: _fold_ended,
}
