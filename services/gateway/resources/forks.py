"""/runs/{id}/fork and /rerun: second chances for runs, under way or ended."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from services.definitions.resolution import Prepared, prepare, recast
from services.definitions.workflow import Workflow
from services.gateway.answer import written
from services.gateway.caller import needs
from services.gateway.definition import FILE, keep, prepare_text
from services.gateway.desk import Answered, Asking
from services.gateway.gateway import Behind, Gateway
from services.gateway.resources import field
from services.gateway.resources.field import Text, Written, example
from services.gateway.resources.runs import (
    ForkOrder,
    RunId,
    RunWritten,
    operate,
    read_inputs,
    show_written,
)
from services.gateway.resources.runs import (
    router as runs,
)
from services.records.task import RunForkRequested

router = APIRouter(prefix=runs.prefix, tags=["runs"])


class RerunOrder(field.Body):
    """Asks for a run again, from a stage on."""

    model_config = example({"stage": "say"})

    stage: Annotated[str, Field(min_length=1, max_length=200)]
    execution: Annotated[int, Field(ge=0, description="0 for its last.")] = 0
    tags: Annotated[dict[str, Text], Field(default_factory=dict, max_length=64)]
    dry_run: bool = False


class ForkPlan(Written):
    """What a fork would come to."""

    run_id: str
    stages: list[dict[str, Any]] = Field(description="Reused: id, executions, completed.")
    artifacts: list[dict[str, Any]] = Field(description="Reused: name, version, sha256.")
    inputs: list[dict[str, Any]]
    anew: list[dict[str, Any]] = Field(description="Asked for anew: id, execution, item.")


ANSWER: dict[str, Any] = {
    "status_code": 201,
    "response_model": RunWritten,
    "responses": {200: {"model": ForkPlan, "description": "With `dry_run`: what it would come to."}},
}


@router.post("/{run_id}/fork", **ANSWER, **needs("operator", "runs:write"))
async def fork_run(order: ForkOrder, gateway: Behind, asking: Asking, run_id: RunId) -> Response:
    """Start a run from a point of this one; nothing done before is done again. With `dry_run` only say what that is."""
    workspace = operate(gateway, asking.caller, run_id)
    prepared = await _prepare(gateway, run_id, order)
    if prepared is not None:
        await keep(gateway.blobs, prepared)
    ask = RunForkRequested(
        workspace_id=workspace,
        run_id=run_id,
        offset=order.offset,
        stage=order.stage,
        execution=order.execution,
        definition=prepared.workflow.digest() if prepared else "",
        professions=dict(prepared.professions) if prepared else {},
        inputs=tuple(await read_inputs(gateway, order)),
        tags=order.tags,
        dry_run=order.dry_run,
    )
    return await _answer(gateway, run_id, ask, asking)


@router.post("/{run_id}/rerun", **ANSWER, **needs("operator", "runs:write"))
async def rerun_run(order: RerunOrder, gateway: Behind, asking: Asking, run_id: RunId) -> Response:
    """Run this run again from a stage on; what it had done before is reused."""
    workspace = operate(gateway, asking.caller, run_id)
    ask = RunForkRequested(workspace_id=workspace, run_id=run_id, **order.model_dump())
    return await _answer(gateway, run_id, ask, asking)


async def _prepare(gateway: Gateway, run_id: str, order: ForkOrder) -> Prepared | None:
    """The changed definition, if it changes."""
    if order.workflow is None and not order.professions:
        return None
    catalogue = await gateway.reading.professions.catalogue(gateway.blobs)
    if order.workflow is not None:
        prepared = prepare_text(order.workflow, catalogue)
        if not order.professions:
            return prepared
        workflow = prepared.workflow
    else:
        digest = gateway.reading.runs.runs[run_id].progress.definition
        workflow = Workflow.from_json(await gateway.blobs.get(digest))
    return prepare(recast(workflow, order.professions, FILE), catalogue)


async def _answer(gateway: Gateway, run_id: str, ask: RunForkRequested, asking: Asking) -> Response:
    answered = await gateway.desk.ask(ask, asking, ask.workspace_id)
    if not ask.dry_run:
        return await show_written(gateway, answered.id, str(answered.shown_at), asking.wait_s, 201)
    return written(ForkPlan(position=str(answered.shown_at), run_id=run_id, **await _told(gateway, answered)), 200)


async def _told(gateway: Gateway, answered: Answered) -> dict[str, Any]:
    told = answered.kept.told
    assert told is not None, f"{answered.kept.answer} tells nothing"
    data = told.inline if told.inline is not None else await gateway.blobs.get(told.digest)
    found: dict[str, Any] = json.loads(data)
    return found
