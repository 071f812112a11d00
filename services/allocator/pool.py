"""The pool: which nodes take part, and which of them has room for which instance.

A request is answered at once while the pool has a node: filtered by driver, cordon and room, then placed where it fits
best (least left over, then by node id). Without any node it waits for one for `NODE_WAIT_MS`. What a lost node session
held is given up by one `HostLost` for each grant, at most `LOSSES_MAX` in one decision.
"""

from collections.abc import Callable, Mapping

from bus.decider import DECISION_RECORDS_MAX, Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.allocator.capacity import distance, fits, is_capacity, shortage, slack, spell
from services.allocator.pool_state import FOLDS, WAIT, Node, Pools, evolve
from services.records.event import (
    CapacityFreed,
    CapacityGranted,
    CapacityQueued,
    CapacityRefused,
    CapacityReleased,
    CapacityRequested,
    HostLost,
    NodeAccepted,
    NodeCordoned,
    NodeCordonRequested,
    NodeJoined,
    NodeLeft,
    NodeLost,
    NodeRefused,
    SubjectLost,
    pool_key,
)
from services.records.permission import find_lack

NODE_WAIT_MS = 30_000
"""How long a request waits while its pool has no node."""

QUEUE_MAX = 400
"""Most requests that wait for the first node of a pool; all of them may be granted in the decision on its joining."""

LOSSES_MAX = 400
"""Most grants of a lost session that are given up in one decision."""

NODES_MAX = 1_000
"""Most nodes in a pool."""

REASON_LENGTH_MAX = 500
"""Characters of a stranger's reason that are repeated to each instance on a lost node."""

Request = CapacityRequested | CapacityQueued


def decide(draft: Draft[Pools], heard: Envelope) -> None:
    """Join and lose nodes; grant, queue, refuse and free capacity."""
    if isinstance(heard.record, DeadlineReached):
        _meet_deadline(draft, heard.record)
    elif answer := _ANSWERS.get(type(heard.record)):
        answer(draft, heard)


def _join(draft: Draft[Pools], heard: Envelope) -> None:
    joined: NodeJoined = heard.record
    session = joined.node_session
    if session in draft.state.sessions or session in draft.state.seen:
        return
    old = draft.state.session(joined.pool, joined.node_id)
    if reason := _find_fault(draft.state, joined, old):
        draft.add(NodeRefused(pool=joined.pool, node_id=joined.node_id, node_session=session, reason=reason))
        return
    if old:
        _say_lost(draft, draft.state.sessions[old], f"the node joined anew as session {session}")
    draft.add(
        NodeAccepted(
            pool=joined.pool,
            node_id=joined.node_id,
            node_session=session,
            capacity=joined.capacity,
            drivers=joined.drivers,
            solid=joined.solid,
        )
    )
    _serve_queue(draft, joined.pool)
    _give_up(draft, old)


def _find_fault(state: Pools, joined: NodeJoined, old: str) -> str:
    if not joined.node_id or not joined.node_session:
        return "a node must name itself and its session"
    if not is_capacity(joined.capacity):
        return f"a node must offer at least one slot and nothing negative; this one offers {spell(joined.capacity)}"
    if joined.solid and not (is_capacity(joined.solid) and fits(joined.solid, joined.capacity)):
        return (
            f"a node cannot guarantee more than it offers, nor less than nothing; this one says {spell(joined.solid)}"
        )
    if not old and len(state.pool(joined.pool).nodes) >= NODES_MAX:
        return f"pool `{joined.pool}` has {NODES_MAX} nodes, which is the most it may have"
    return ""


def _leave(draft: Draft[Pools], heard: Envelope) -> None:
    left: NodeLeft = heard.record
    _lose(draft, left.pool, left.node_id, left.node_session, left.reason or "the node left")


def _mourn(draft: Draft[Pools], heard: Envelope) -> None:
    lost: SubjectLost = heard.record
    kind, _, node_id = lost.subject.partition(":")
    if kind == "node":
        reason = f"the node was silent for too long ({lost.evidence})"
        _lose(draft, lost.owner_key.removeprefix(pool_key("")), node_id, lost.session, reason)


def _lose(draft: Draft[Pools], pool: str, node_id: str, session: str, reason: str) -> None:
    if session and draft.state.session(pool, node_id) == session:
        _say_lost(draft, draft.state.sessions[session], reason)
        _give_up(draft, session)


def _say_lost(draft: Draft[Pools], node: Node, reason: str) -> None:
    reason = reason[:REASON_LENGTH_MAX]
    draft.add(NodeLost(pool=node.pool, node_id=node.node_id, node_session=node.session, reason=reason))


def _give_up(draft: Draft[Pools], session: str) -> None:
    node = draft.state.sessions.get(session)
    if node is None or not node.lost_because:
        return
    room = min(LOSSES_MAX, DECISION_RECORDS_MAX - len(draft.facts))
    for grant_id in sorted(node.grants)[:room]:
        granted = node.grants[grant_id]
        draft.add(
            HostLost(
                pool=node.pool,
                workspace_id=granted.workspace_id,
                instance_id=granted.instance_id,
                grant_id=grant_id,
                node_id=node.node_id,
                node_session=session,
                reason=node.lost_because,
            )
        )


def _cordon(draft: Draft[Pools], heard: Envelope) -> None:
    ask: NodeCordonRequested = heard.record
    if heard.id in draft.state.seen:
        return
    pool = draft.state.pool(ask.pool)
    lack = find_lack(ask)
    if lack or (ask.node_id not in pool.nodes and ask.node_id not in pool.cordoned):
        reason = lack or f"pool `{ask.pool}` has no node `{ask.node_id}`"
        draft.add(NodeRefused(pool=ask.pool, node_id=ask.node_id, reason=reason, ask_id=heard.id))
        return
    draft.add(
        NodeCordoned(pool=ask.pool, node_id=ask.node_id, cordoned=ask.cordoned, reason=ask.reason, ask_id=heard.id)
    )
    _serve_queue(draft, ask.pool)


def _request(draft: Draft[Pools], heard: Envelope) -> None:
    request: CapacityRequested = heard.record
    state, grant_id = draft.state, request.grant_id
    if grant_id in state.seen or grant_id in state.grants or grant_id in state.queued:
        return
    if not is_capacity(request.resources):
        reason = "an instance needs at least one slot and nothing negative; this one asks for "
        _refuse(draft, request, reason + spell(request.resources))
    elif node := _place(state, request):
        _grant(draft, request, node, heard.origin.cause)
    elif state.pool(request.pool).nodes:
        _refuse(draft, request, _explain(state, request))
    elif len(state.pool(request.pool).queue) >= QUEUE_MAX:
        _refuse(draft, request, f"pool `{request.pool}` has no node, and {QUEUE_MAX} requests wait for one already")
    else:
        _queue(draft, request, heard.origin.cause)


def _place(state: Pools, request: Request) -> Node | None:
    """The node where the request fits best; the one of the smallest id of equals."""
    cordoned = state.pool(request.pool).cordoned
    able = [
        (node.node_id in request.avoid, slack(request.resources, room, node.capacity), node.node_id, node)
        for node in state.nodes(request.pool)
        if node.node_id not in cordoned
        and node.offers(request.driver)
        and fits(request.resources, room := node.room(guaranteed=request.guaranteed))
    ]
    return min(able, key=lambda scored: scored[:3])[3] if able else None


def _grant(draft: Draft[Pools], request: Request, node: Node, requested_at: str) -> None:
    draft.add(
        CapacityGranted(
            pool=request.pool,
            workspace_id=request.workspace_id,
            instance_id=request.instance_id,
            grant_id=request.grant_id,
            node_id=node.node_id,
            node_session=node.session,
            resources=request.resources,
            guaranteed=request.guaranteed,
            accepted_at=requested_at,
        )
    )


def _queue(draft: Draft[Pools], request: CapacityRequested, requested_at: str) -> None:
    draft.add(
        CapacityQueued(
            pool=request.pool,
            workspace_id=request.workspace_id,
            instance_id=request.instance_id,
            grant_id=request.grant_id,
            resources=request.resources,
            driver=request.driver,
            avoid=request.avoid,
            guaranteed=request.guaranteed,
            requested_at=requested_at,
            refused_at_ms=draft.now_ms + NODE_WAIT_MS,
        )
    )


def _refuse(draft: Draft[Pools], request: Request, reason: str) -> None:
    draft.add(
        CapacityRefused(
            pool=request.pool,
            workspace_id=request.workspace_id,
            instance_id=request.instance_id,
            grant_id=request.grant_id,
            reason=reason,
        )
    )


def _explain(state: Pools, request: Request) -> str:
    """Why no node can take the request: what is missing, and what would fit."""
    pool = f"pool `{request.pool}`"
    nodes = state.nodes(request.pool)
    if not nodes:
        return f"no node has joined {pool} within {NODE_WAIT_MS // 1000} s"
    offering = [node for node in nodes if node.offers(request.driver)]
    if not offering:
        offered = ", ".join(sorted({driver for node in nodes for driver in node.drivers}))
        return f"no node of {pool} offers the driver `{request.driver}`; offered are {offered}"
    usable = [node for node in offering if node.node_id not in state.pool(request.pool).cordoned]
    if not usable:
        return f"all nodes of {pool} that offer the driver `{request.driver}` are cordoned"
    nearest, left = min(
        ((node, node.room(guaranteed=request.guaranteed)) for node in usable),
        key=lambda pair: (distance(request.resources, pair[1]), pair[0].node_id),
    )
    lack = spell(shortage(request.resources, left))
    room = spell(left) if is_capacity(left) else "nothing"
    kind = "room that it can guarantee" if request.guaranteed else "room"
    reason = f"no node of {pool} has {kind}: the nearest, {nearest.node_id}, lacks {lack}; {room} would fit"
    shared = request.guaranteed and any(fits(request.resources, node.free) for node in usable)
    return f"{reason}, and all of it without a guarantee" if shared else reason


def _release(draft: Draft[Pools], heard: Envelope) -> None:
    released: CapacityReleased = heard.record
    if waiting := draft.state.queued.get(released.grant_id):
        _refuse(draft, waiting, "the request was withdrawn")
    elif released.grant_id in draft.state.grants:
        draft.add(
            CapacityFreed(
                pool=released.pool,
                grant_id=released.grant_id,
                instance_id=released.instance_id,
                reason="its worker is gone, or there was none",
            )
        )
        _serve_queue(draft, released.pool)


def _serve_queue(draft: Draft[Pools], pool: str) -> None:
    """Grant what fits by now, first come first served; the rest waits on until its deadline."""
    for grant_id in draft.state.pool(pool).queue:
        waiting = draft.state.queued[grant_id]
        if node := _place(draft.state, waiting):
            _grant(draft, waiting, node, waiting.requested_at)


def _meet_deadline(draft: Draft[Pools], reached: DeadlineReached) -> None:
    at_ms = draft.state.deadlines.times.get(reached.id)
    if at_ms is None or at_ms > draft.now_ms:
        return
    kind, _, name = reached.id.partition(":")
    if kind == WAIT:
        waiting = draft.state.queued[name]
        _refuse(draft, waiting, _explain(draft.state, waiting))
    else:
        _give_up(draft, name.rpartition(":")[0])


_ANSWERS: Mapping[type[Record], Callable[[Draft[Pools], Envelope], None]] = {
    NodeJoined: _join,
    NodeLeft: _leave,
    SubjectLost: _mourn,
    NodeCordonRequested: _cordon,
    CapacityRequested: _request,
    CapacityReleased: _release,
}

POOL: Role[Pools] = Role(
    name="allocator.pool",
    home="event",
    hears=frozenset(_ANSWERS),
    says=frozenset(FOLDS),
    initial=Pools,
    decide=decide,
    evolve=evolve,
    deadlines=lambda pools: pools.deadlines,
)
