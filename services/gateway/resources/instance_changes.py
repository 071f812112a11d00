"""/instances/ID/drain, restart, upgrade: changes of an instance that lose none of its tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.gateway.answer import written
from services.gateway.caller import needs
from services.gateway.desk import Asking, Writing
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.resources.field import Body, Name, Text, Written, example
from services.gateway.resources.instances import find_instance
from services.records.event import InstanceDestroyRequested, InstanceRestartRequested

router = APIRouter(prefix=f"{PREFIX}/instances", tags=["instances"])


class Change(Body):
    """Why an instance is changed, and whether its tasks are waited for."""

    model_config = example({"force": False, "reason": "new tools"})

    force: bool = False
    reason: Text = ""


class Draining(Body):
    """Why an instance is to end."""

    model_config = example({"reason": "the project is over"})

    reason: Text = ""


CHANGE, DRAINING = Change(), Draining()


@router.post("/{instance_id}/drain", status_code=202, response_model=Written, **needs("operator", "instances:write"))
async def drain_instance(
    gateway: Behind, asking: Asking, instance_id: Annotated[Name, Path()], draining: Draining = DRAINING
) -> Response:
    """Give an instance no more tasks, and end it when it has done those that it has."""
    found = find_instance(gateway, asking.caller, instance_id)
    asking.caller.require("operator", found.workspace_id)
    ask = InstanceDestroyRequested(
        workspace_id=found.workspace_id, instance_id=instance_id, reason=draining.reason or "asked for"
    )
    answered = await gateway.desk.ask(ask, asking, found.workspace_id)
    return written(Written(position=str(answered.shown_at)), 202)


@router.post("/{instance_id}/restart", status_code=202, response_model=Written, **needs("operator", "instances:write"))
async def restart_instance(
    gateway: Behind, asking: Asking, instance_id: Annotated[Name, Path()], change: Change = CHANGE
) -> Response:
    """Give an instance a new worker once its tasks are done. `Prefer: wait=N` waits until it is ready again."""
    return await _restart(gateway, asking, instance_id, change, "")


@router.post("/{instance_id}/upgrade", status_code=202, response_model=Written, **needs("operator", "instances:write"))
async def upgrade_instance(
    gateway: Behind, asking: Asking, instance_id: Annotated[Name, Path()], change: Change = CHANGE
) -> Response:
    """Give an instance the newest version of its profession without losing a task. `Prefer: wait=N` waits until it is
    ready again."""
    found = find_instance(gateway, asking.caller, instance_id)
    catalogue = await gateway.reading.professions.catalogue(gateway.blobs)
    digest = await gateway.blobs.put(catalogue.require(found.profession).to_json())
    return await _restart(gateway, asking, instance_id, change, digest)


async def _restart(gateway: Gateway, asking: Writing, instance_id: str, change: Change, digest: str) -> Response:
    found = find_instance(gateway, asking.caller, instance_id)
    asking.caller.require("operator", found.workspace_id)
    ask = InstanceRestartRequested(
        workspace_id=found.workspace_id,
        instance_id=instance_id,
        profession_digest=digest,
        force=change.force,
        reason=change.reason or "asked for",
    )
    answered = await gateway.desk.ask(ask, asking, found.workspace_id)
    view, before = gateway.reading.instances.instances, found.incarnation

    def is_settled() -> bool:
        now = view.get(instance_id)
        return now is None or now.has_ended or (now.status == "ready" and now.incarnation > before)

    if asking.wait_s:
        await gateway.reading.until("event", is_settled, asking.wait_s)
    return written(Written(position=str(answered.shown_at)), 202, waited=asking.wait_s)
