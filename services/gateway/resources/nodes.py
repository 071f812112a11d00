"""/nodes and /quotas: the hosts, what they have, and who holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response

from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import EVERYWHERE, Calling, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind
from services.gateway.rejection import NotFound
from services.gateway.resources.field import Name, Shown, Text, Written
from services.gateway.views.nodes import Grant, KeptNode, NodeView, total
from services.records.content import Resources
from services.records.event import NodeCordonRequested
from services.records.node import pool_key

router = APIRouter(prefix=PREFIX, tags=["nodes"])


class Amounts(Shown):
    """Resources."""

    cpu: float
    memory_mib: int
    storage_mib: int
    gpus: int
    api_calls_per_minute: int
    slots: int


class NodeShown(Shown):
    """A host."""

    node_id: str
    pool: str
    status: str
    drivers: list[str]
    capacity: Amounts
    granted: Amounts
    instances: int
    joined_at: int
    reason: str | None


class Quota(Shown):
    """What the instances of a workspace hold of a pool, of the whole pool."""

    pool: str
    workspace_id: str
    instances: int
    granted: Amounts
    capacity: Amounts


class Quotas(Shown):
    """Quotas by pool and workspace."""

    items: list[Quota]


@router.get("/nodes", **shown(Page[NodeShown], "Nodes, the oldest first."), **needs("viewer", "nodes:read"))
async def list_nodes(
    request: Request,
    gateway: Behind,
    turn: Turning,
    pool: Annotated[str, Query(max_length=200)] = "",
    _fresh: None = Fresh,
) -> Response:
    """List nodes."""
    return show(request, turn.page(gateway.reading.nodes.nodes, lambda each: pool in ("", each.pool), _show))


@router.get("/nodes/{pool}/{node_id}", **shown(NodeShown, "The node."), **needs("viewer", "nodes:read"))
async def get_node(
    request: Request,
    gateway: Behind,
    pool: Annotated[Name, Path()],
    node_id: Annotated[Name, Path()],
    _fresh: None = Fresh,
) -> Response:
    """Show one node."""
    found = gateway.reading.nodes.nodes.get(NodeView.name(pool, node_id))
    if found is None:
        raise NotFound(f"node {node_id} in the pool {pool}")
    return show(request, _show(found))


@router.post("/nodes/{pool}/{node_id}/cordon", status_code=202, response_model=Written, **needs("admin", "nodes:write"))
async def cordon_node(
    gateway: Behind,
    asking: Asking,
    pool: Annotated[Name, Path()],
    node_id: Annotated[Name, Path()],
    cordoned: Annotated[bool, Body(description="False: give grants on it again.")] = True,
    reason: Annotated[Text, Body()] = "",
) -> Response:
    """Give no new grants on a node, or give them again."""
    asking.caller.require("admin", EVERYWHERE)
    if NodeView.name(pool, node_id) not in gateway.reading.nodes.nodes:
        raise NotFound(f"node {node_id} in the pool {pool}")
    ask = NodeCordonRequested(pool=pool, node_id=node_id, cordoned=cordoned, reason=reason)
    answered = await gateway.desk.ask(ask, asking, pool_key(pool))
    return written(Written(position=str(answered.shown_at)), 202)


@router.get("/quotas", **shown(Quotas, "Quotas by pool and workspace."), **needs("viewer", "quotas:read"))
async def list_quotas(request: Request, gateway: Behind, caller: Calling, _fresh: None = Fresh) -> Response:
    """Show what each workspace holds of each pool."""
    nodes = gateway.reading.nodes
    held: dict[tuple[str, str], list[Grant]] = {}
    for grant in nodes.grants.values():
        if caller.sees(grant.workspace_id):
            held.setdefault((grant.pool, grant.workspace_id), []).append(grant)
    items = [
        Quota(
            pool=pool,
            workspace_id=workspace,
            instances=len(grants),
            granted=_amounts(grant.resources for grant in grants),
            capacity=_amounts(n.capacity for n in nodes.nodes.values() if n.pool == pool and n.status != "lost"),
        )
        for (pool, workspace), grants in sorted(held.items())
    ]
    return show(request, Quotas(items=items))


def _amounts(parts: Iterable[Resources]) -> Amounts:
    summed = total(list(parts))
    return Amounts(cpu=summed.cpu_millis / 1000, **summed.model_dump(exclude={"cpu_millis"}))


def _show(node: KeptNode) -> NodeShown:
    return NodeShown(
        node_id=node.node_id,
        pool=node.pool,
        status=node.status,
        drivers=list(node.drivers),
        capacity=_amounts([node.capacity]),
        granted=_amounts(grant.resources for grant in node.grants.values()),
        instances=len(node.grants),
        joined_at=node.joined_at_ms,
        reason=node.reason or None,
    )
