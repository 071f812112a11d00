"""/instances: agents with a profession."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from services.audit.instances import Instance, describe_steps
from services.definitions.tailoring import MEMORY_PATTERN, Tailoring
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Caller, Calling, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import NotFound
from services.gateway.resources.field import Body, Name, Shown, Text, Workspace, Written, example
from services.records.event import InstanceDestroyRequested, InstanceRequested

router = APIRouter(prefix=f"{PREFIX}/instances", tags=["instances"])


class ResourceQuota(Body):
    """What the instance may use; otherwise what its profession's class gives."""

    cpu: Annotated[float, Field(gt=0, le=10_000, description="Cores.", examples=[1.0])] | None = None
    memory: Annotated[str, Field(max_length=20, pattern=MEMORY_PATTERN, examples=["2Gi"])] | None = None
    gpus: Annotated[int, Field(ge=0, le=1_000)] | None = None
    guaranteed: Annotated[bool, Field(description="Kept for it in any case; otherwise it shares what is unused.")] = (
        False
    )


class InstanceConfig(Body):
    """How the instance works."""

    skills: dict[str, Annotated[int, Field(ge=1, le=10)]] = Field(default={}, description="Levels of its own.")
    resource_class: Annotated[str, Field(max_length=50, description="Otherwise the profession's.")] = ""

    model: Annotated[str, Field(max_length=200, examples=["gpt-5"])] = ""
    max_concurrent: Annotated[int, Field(ge=1, le=1000, description="Tasks at once.")] | None = None
    resource_quota: ResourceQuota = ResourceQuota()
    quality_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class Collaboration(Body):
    """Who it works with."""

    workspace_id: Workspace = "default"
    team_id: Annotated[str, Field(max_length=200)] = ""
    upstream: tuple[Name, ...] = Field(default=(), max_length=64, description="Whom work comes from.")
    downstream: tuple[Name, ...] = Field(default=(), max_length=64, description="Whom work goes to.")


EXAMPLE = {
    "profession_id": "qa_engineer",
    "name": "tester",
    "config": {
        "model": "gpt-5",
        "max_concurrent": 2,
        "resource_quota": {"cpu": 1.0, "memory": "2Gi"},
        "quality_threshold": 0.8,
        "skills": {"test_automation": 9},
    },
    "collaboration": {"workspace_id": "default", "team_id": "quality"},
}


class InstanceOrder(Body):
    """Asks for an instance."""

    model_config = example(EXAMPLE)

    profession_id: Annotated[Name, Field(description="Id or alias of a profession.")]
    name: Annotated[str, Field(max_length=200, description="What to call it; otherwise it is named.")] = ""
    config: InstanceConfig = InstanceConfig()
    collaboration: Collaboration = Collaboration()
    agent: Annotated[str, Field(max_length=200, description="How it thinks, instead of the profession's way.")] = ""
    driver: Annotated[str, Field(max_length=200, description="How its worker is kept apart.")] = "process"
    pool: Annotated[Name, Field(description="The pool of nodes that it takes room in.")] = "default"


class Endpoints(Shown):
    """Where the instance is found."""

    api: str
    websocket: str


class InstanceCreated(Written):
    """An instance that was asked for."""

    instance_id: str
    status: Literal["creating", "ready", "failed"]
    endpoints: Endpoints
    created_at: int = Field(description="Milliseconds since 1970.")


class StepShown(Shown):
    """A step of the creation of an instance."""

    step: str
    at: int
    detail: str
    failed: bool


class InstanceShown(Shown):
    """An instance as it is now."""

    instance_id: str
    name: str
    profession_id: str
    status: str = Field(
        description="creating, starting, ready, draining, restarting, stopping, stopped, failed or lost."
    )
    workspace_id: str
    node_id: str | None
    agent: str
    driver: str
    on_demand: bool
    endpoints: Endpoints
    created_at: int
    changed_at: int
    reason: str | None
    profession_digest: str | None
    steps: list[StepShown] = Field(description="Of its creation, the oldest first.")


@router.post("", status_code=201, response_model=InstanceCreated, **needs("operator", "instances:write"))
async def create_instance(order: InstanceOrder, request: Request, gateway: Behind, asking: Asking) -> Response:
    """Create an instance of a profession. `Prefer: wait=N` waits until it is ready or has failed."""
    workspace = order.collaboration.workspace_id
    asking.caller.require("operator", workspace)
    answered = await gateway.desk.ask(await _request(gateway, order), asking, workspace)
    view = gateway.reading.instances.instances

    def is_settled() -> bool:
        found = view.get(answered.id)
        return found is not None and (found.status == "ready" or found.has_ended)

    if asking.wait_s:
        await gateway.reading.until("event", is_settled, asking.wait_s)
    made = view[answered.id]
    created = InstanceCreated(
        position=str(answered.shown_at),
        instance_id=made.instance_id,
        status="ready" if made.status == "ready" else "failed" if made.has_ended else "creating",
        endpoints=_endpoints(request, made.instance_id),
        created_at=made.created_at_ms,
    )
    return written(created, 201, location=f"{router.prefix}/{made.instance_id}", waited=asking.wait_s)


async def _request(gateway: Gateway, order: InstanceOrder) -> InstanceRequested:
    catalogue = await gateway.reading.professions.catalogue(gateway.blobs)
    quota, config = order.config.resource_quota, order.config
    tailoring = Tailoring(
        resource_class=config.resource_class,
        cpu=quota.cpu,
        memory=quota.memory or "",
        gpus=quota.gpus,
        tasks=config.max_concurrent,
        quality=config.quality_threshold,
        skills=config.skills,
        upstream=order.collaboration.upstream,
        downstream=order.collaboration.downstream,
    )
    profession = tailoring.profession(catalogue.require(order.profession_id))
    return InstanceRequested(
        workspace_id=order.collaboration.workspace_id,
        profession=profession.id,
        name=order.name,
        agent=order.agent,
        driver=order.driver,
        pool=order.pool,
        resources=tailoring.resources(profession),
        guaranteed=quota.guaranteed,
        skills=config.skills,
        model=config.model,
        profession_digest=await gateway.blobs.put(profession.to_json()),
        team_id=order.collaboration.team_id,
    )


@router.get("", **shown(Page[InstanceShown], "Instances, the oldest first."), **needs("viewer", "instances:read"))
async def list_instances(
    request: Request,
    gateway: Behind,
    caller: Calling,
    turn: Turning,
    workspace_id: Annotated[str, Query(max_length=200)] = "",
    all_: Annotated[bool, Query(alias="all", description="Those that have ended too.")] = False,
    _fresh: None = Fresh,
) -> Response:
    """List instances."""

    def keep(each: Instance) -> bool:
        return (
            caller.sees(each.workspace_id)
            and (not workspace_id or each.workspace_id == workspace_id)
            and (all_ or not each.has_ended)
        )

    return show(request, turn.page(gateway.reading.instances.instances, keep, lambda each: _show(request, each)))


@router.get("/{instance_id}", **shown(InstanceShown, "The instance."), **needs("viewer", "instances:read"))
async def get_instance(
    request: Request, gateway: Behind, caller: Calling, instance_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Show one instance."""
    return show(request, _show(request, find_instance(gateway, caller, instance_id)))


@router.delete("/{instance_id}", status_code=202, response_model=Written, **needs("operator", "instances:write"))
async def delete_instance(
    gateway: Behind,
    asking: Asking,
    instance_id: Annotated[Name, Path()],
    force: Annotated[bool, Query(description="At once, without waiting for its tasks.")] = False,
    reason: Annotated[Text, Query(description="Kept in the log.")] = "",
) -> Response:
    """End an instance: when its tasks are done, or at once. `Prefer: wait=N` waits for its end."""
    found = find_instance(gateway, asking.caller, instance_id)
    asking.caller.require("operator", found.workspace_id)
    ask = InstanceDestroyRequested(
        workspace_id=found.workspace_id, instance_id=instance_id, force=force, reason=reason or "asked for"
    )
    answered = await gateway.desk.ask(ask, asking, found.workspace_id)
    view = gateway.reading.instances.instances
    if asking.wait_s:
        await gateway.reading.until(
            "event", lambda: instance_id not in view or view[instance_id].has_ended, asking.wait_s
        )
    return written(Written(position=str(answered.shown_at)), 202, waited=asking.wait_s)


def find_instance(gateway: Gateway, caller: Caller, instance_id: str) -> Instance:
    """An instance that the caller may see; raises NotFound."""
    found = gateway.reading.instances.instances.get(instance_id)
    if found is None or not caller.sees(found.workspace_id):
        raise NotFound(f"instance {instance_id}")
    return found


def _show(request: Request, instance: Instance) -> InstanceShown:
    return InstanceShown(
        instance_id=instance.instance_id,
        name=instance.name,
        profession_id=instance.profession,
        status=instance.status,
        workspace_id=instance.workspace_id,
        node_id=instance.node_id or None,
        agent=instance.agent,
        driver=instance.driver,
        on_demand=instance.on_demand,
        endpoints=_endpoints(request, instance.instance_id),
        created_at=instance.created_at_ms,
        changed_at=instance.changed_at_ms,
        reason=instance.reason or None,
        profession_digest=instance.profession_digest or None,
        steps=[StepShown.model_validate(step) for step in describe_steps(instance)],
    )


def _endpoints(request: Request, instance_id: str) -> Endpoints:
    api = f"{str(request.base_url).rstrip('/')}{router.prefix}/{instance_id}"
    return Endpoints(api=api, websocket=f"ws{api.removeprefix('http')}/stream")
