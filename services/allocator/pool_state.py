"""What each pool holds — nodes, grants and queue — as folded from the allocator's own facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import fold_by_type
from bus.record import Fact
from bus.seen import Seen
from services.allocator.capacity import add, lesser, subtract
from services.records.content import Resources
from services.records.node import (
    CapacityFreed,
    CapacityGranted,
    CapacityQueued,
    CapacityRefused,
    HostLost,
    NodeAccepted,
    NodeCordoned,
    NodeLost,
    NodeRefused,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One session of a node, and what is granted on it."""

    pool: str
    node_id: str
    session: str
    capacity: Resources
    drivers: tuple[str, ...]
    free: Resources
    solid: Resources  # free for grants that are guaranteed
    grants: Map[str, CapacityGranted] = Map()
    lost_because: str = ""  # it is over; what it held is being given up

    def room(self, *, guaranteed: bool) -> Resources:
        """What it has left: of what it promises more than once, or for good."""
        return lesser(self.free, self.solid) if guaranteed else self.free

    def offers(self, driver: str) -> bool:
        return not driver or not self.drivers or driver in self.drivers


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The nodes that take part, by their sessions, and the requests that wait for a first one."""

    nodes: Map[str, str] = Map()  # node to session
    cordoned: Map[str, str] = Map()  # node to reason; it outlives a session
    queue: tuple[str, ...] = ()  # grants, in the order in which they were asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """All pools of a partition."""

    pools: Map[str, Pool] = Map()
    sessions: Map[str, Node] = Map()
    grants: Map[str, str] = Map()  # grant to session
    queued: Map[str, CapacityQueued] = Map()
    seen: Seen = Seen()  # grants, asks and node sessions that were answered
    deadlines: Deadlines = Deadlines()

    def pool(self, name: str) -> Pool:
        return self.pools.get(name, Pool())

    def nodes(self, pool: str) -> list[Node]:
        """The nodes that take part in a pool, in the order of their ids."""
        return [self.sessions[session] for _, session in sorted(self.pool(pool).nodes.items())]

    def session(self, pool: str, node_id: str) -> str:
        """The session under which a node takes part, or nothing."""
        return self.pool(pool).nodes.get(node_id, "")


WAIT, LOST = "wait", "lost"
"""Kinds of deadlines."""


def wait_name(grant_id: str) -> str:
    """Deadline of a request that waits for a node."""
    return f"{WAIT}:{grant_id}"


def loss_name(session: str, grants: int) -> str:
    """Deadline of a lost session that has still so many grants to give up; each step is a deadline of its own."""
    return f"{LOST}:{session}:{grants}"


def _with_pool(state: Pools, name: str, pool: Pool) -> Pools:
    if pool != Pool():
        return replace(state, pools=state.pools.set(name, pool))
    return replace(state, pools=state.pools.delete(name)) if name in state.pools else state


def _fold_accepted(state: Pools, fact: NodeAccepted, time_ms: int) -> Pools:
    pool = state.pool(fact.pool)
    node = Node(
        pool=fact.pool,
        node_id=fact.node_id,
        session=fact.node_session,
        capacity=fact.capacity,
        drivers=fact.drivers,
        free=fact.capacity,
        solid=fact.solid or fact.capacity,
    )
    state = replace(state, sessions=state.sessions.set(node.session, node))
    return _with_pool(state, fact.pool, replace(pool, nodes=pool.nodes.set(node.node_id, node.session)))


def _fold_node_refused(state: Pools, fact: NodeRefused, time_ms: int) -> Pools:
    return replace(state, seen=state.seen.add(fact.ask_id or fact.node_session, time_ms))


def _fold_cordoned(state: Pools, fact: NodeCordoned, time_ms: int) -> Pools:
    pool = state.pool(fact.pool)
    cordoned = pool.cordoned
    if fact.cordoned:
        cordoned = cordoned.set(fact.node_id, fact.reason)
    elif fact.node_id in cordoned:
        cordoned = cordoned.delete(fact.node_id)
    state = _with_pool(state, fact.pool, replace(pool, cordoned=cordoned))
    return replace(state, seen=state.seen.add(fact.ask_id, time_ms))


def _fold_node_lost(state: Pools, fact: NodeLost, time_ms: int) -> Pools:
    pool, node = state.pool(fact.pool), state.sessions[fact.node_session]
    state = _with_pool(state, fact.pool, replace(pool, nodes=pool.nodes.delete(fact.node_id)))
    state = replace(state, seen=state.seen.add(node.session, time_ms))
    return _with_node(state, replace(node, lost_because=fact.reason or "lost"), time_ms)


def _with_node(state: Pools, node: Node, time_ms: int) -> Pools:
    """With a node as it is now; a lost one gives up its grants one after the other and goes with the last."""
    if not node.lost_because:
        return replace(state, sessions=state.sessions.set(node.session, node))
    deadlines = state.deadlines.clear(loss_name(node.session, len(state.sessions[node.session].grants)))
    if not node.grants:
        return replace(state, sessions=state.sessions.delete(node.session), deadlines=deadlines)
    return replace(
        state,
        sessions=state.sessions.set(node.session, node),
        deadlines=deadlines.set(loss_name(node.session, len(node.grants)), time_ms),
    )


def _fold_queued(state: Pools, fact: CapacityQueued, time_ms: int) -> Pools:
    pool = state.pool(fact.pool)
    state = _with_pool(state, fact.pool, replace(pool, queue=(*pool.queue, fact.grant_id)))
    return replace(
        state,
        queued=state.queued.set(fact.grant_id, fact),
        deadlines=state.deadlines.set(wait_name(fact.grant_id), fact.refused_at_ms),
    )


def _answered(state: Pools, fact: CapacityGranted | CapacityRefused, time_ms: int) -> Pools:
    state = replace(state, seen=state.seen.add(fact.grant_id, time_ms))
    if fact.grant_id not in state.queued:
        return state
    pool = state.pool(fact.pool)
    queue = tuple(grant_id for grant_id in pool.queue if grant_id != fact.grant_id)
    return replace(
        _with_pool(state, fact.pool, replace(pool, queue=queue)),
        queued=state.queued.delete(fact.grant_id),
        deadlines=state.deadlines.clear(wait_name(fact.grant_id)),
    )


def _fold_granted(state: Pools, fact: CapacityGranted, time_ms: int) -> Pools:
    node = state.sessions[fact.node_session]
    solid = subtract(node.solid, fact.resources) if fact.guaranteed else node.solid
    free, grants = subtract(node.free, fact.resources), node.grants.set(fact.grant_id, fact)
    node = replace(node, free=free, solid=solid, grants=grants)
    state = replace(_answered(state, fact, time_ms), grants=state.grants.set(fact.grant_id, node.session))
    return _with_node(state, node, time_ms)


def _fold_ended(state: Pools, fact: CapacityFreed | HostLost, time_ms: int) -> Pools:
    node = state.sessions[state.grants[fact.grant_id]]
    granted = node.grants[fact.grant_id]
    solid = add(node.solid, granted.resources) if granted.guaranteed else node.solid
    free, grants = add(node.free, granted.resources), node.grants.delete(fact.grant_id)
    node = replace(node, free=free, solid=solid, grants=grants)
    return _with_node(replace(state, grants=state.grants.delete(fact.grant_id)), node, time_ms)


FOLDS: Mapping[type[Fact], Callable[[Pools, Any, int], Pools]] = {
    NodeAccepted: _fold_accepted,
    NodeRefused: _fold_node_refused,
    NodeCordoned: _fold_cordoned,
    NodeLost: _fold_node_lost,
    CapacityQueued: _fold_queued,
    CapacityGranted: _fold_granted,
    CapacityRefused: _answered,
    CapacityFreed: _fold_ended,
    HostLost: _fold_ended,
}

evolve = fold_by_type("allocator.pool", FOLDS)
"""The pools after one of the allocator's facts."""
