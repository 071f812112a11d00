"""/pools: how many instances of a profession a workspace keeps warm."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from services.definitions.tailoring import Tailoring
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Calling, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind
from services.gateway.resources.field import Body, Name, Shown, Written, example
from services.records.event import WarmPoolRequested, WarmPoolSet

router = APIRouter(prefix=f"{PREFIX}/pools", tags=["pools"])

SIZE_MAX = 64


class PoolShown(Shown):
    """The warm pool of a profession."""

    workspace_id: str
    profession_id: str
    min: int
    max: int
    idle_s: float
    agent: str
    driver: str
    pool: str


class PoolOrder(Body):
    """How the warm pool of a profession is to be."""

    model_config = example({"min": 2, "max": 6, "idle_s": 300})

    min: Annotated[int, Field(ge=0, le=SIZE_MAX, description="So many are always ready.")] = 0
    max: Annotated[int, Field(ge=0, le=SIZE_MAX, description="No more are made when tasks wait.")] = 4
    idle_s: Annotated[float, Field(ge=1, le=604_800, description="Above the min they go after so long.")] = 60
    agent: Annotated[str, Field(max_length=200)] = ""
    driver: Annotated[str, Field(max_length=200)] = "process"
    pool: Annotated[Name, Field(description="The pool of nodes that they take room in.")] = "default"
    model: Annotated[str, Field(max_length=200)] = ""
    resource_class: Annotated[str, Field(max_length=50)] = ""


@router.get("", **shown(Page[PoolShown], "Warm pools."), **needs("viewer", "instances:read"))
async def list_pools(
    request: Request, gateway: Behind, caller: Calling, turn: Turning, _fresh: None = Fresh
) -> Response:
    """List the warm pools by workspace and profession."""
    pools = gateway.reading.warm_pools.pools
    return show(request, turn.slice([_show(pool) for (where, _), pool in sorted(pools.items()) if caller.sees(where)]))


@router.put(
    "/{workspace_id}/{profession_id}",
    status_code=200,
    response_model=Written,
    **needs("operator", "instances:write"),
)
async def set_pool(
    order: PoolOrder,
    gateway: Behind,
    asking: Asking,
    workspace_id: Annotated[Name, Path()],
    profession_id: Annotated[Name, Path()],
) -> Response:
    """Keep so many instances of a profession ready, and have no more than so many that nobody asked for by name."""
    asking.caller.require("operator", workspace_id)
    profession = (await gateway.reading.professions.catalogue(gateway.blobs)).require(profession_id)
    ask = WarmPoolRequested(
        workspace_id=workspace_id,
        profession=profession.id,
        least=order.min,
        most=order.max,
        idle_ms=round(order.idle_s * 1000),
        agent=order.agent,
        driver=order.driver,
        pool=order.pool,
        model=order.model,
        resources=Tailoring(resource_class=order.resource_class).resources(profession),
        profession_digest=await gateway.blobs.put(profession.to_json()),
    )
    answered = await gateway.desk.ask(ask, asking, workspace_id)
    return written(Written(position=str(answered.shown_at)), 200)


def _show(pool: WarmPoolSet) -> PoolShown:
    return PoolShown(
        workspace_id=pool.workspace_id,
        profession_id=pool.profession,
        min=pool.least,
        max=pool.most,
        idle_s=pool.idle_ms / 1000,
        agent=pool.agent,
        driver=pool.driver,
        pool=pool.pool,
    )
