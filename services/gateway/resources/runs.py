"""/runs: workflows under way and ended."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import Field

from services.audit.progress import Progress, forked_from, hex_of, list_stages
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Caller, Calling, needs
from services.gateway.definition import keep, keep_bytes, keep_value, prepare_text
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import NotFound, Rejected
from services.gateway.resources import field
from services.gateway.resources.field import Name, Shown, Text, Workspace, Written, example
from services.gateway.resources.workflows import EXAMPLE, Definition
from services.gateway.views.runs import KeptRun
from services.records.content import NAMES_MAX, Content
from services.records.task import (
    RunCancelRequested,
    RunPauseRequested,
    RunRequested,
    RunResumeRequested,
    SignalRequested,
    TaskCancelRequested,
)

router = APIRouter(prefix=f"{PREFIX}/runs", tags=["runs"])

RunId = Annotated[Name, Path(examples=["run-0123456789abcdef"])]


class StoredInput(field.Body):
    """An input whose content was uploaded before."""

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    media_type: Annotated[str, Field(max_length=200)] = "application/octet-stream"


class RunOrder(field.Body):
    """Asks for a run."""

    model_config = example({"workflow": EXAMPLE, "inputs": {"name": "world"}, "workspace_id": "default"})

    workflow: Definition
    inputs: Annotated[
        dict[Name, Any], Field(default_factory=dict, max_length=NAMES_MAX, description="By name: text, or any JSON.")
    ]
    stored_inputs: Annotated[dict[Name, StoredInput], Field(default_factory=dict, max_length=NAMES_MAX)]
    workspace_id: Workspace = "default"
    tags: Annotated[dict[Name, Text], Field(default_factory=dict, max_length=NAMES_MAX)]


class ForkOrder(field.Body):
    """Asks for a run from a point of another one, with what changes."""

    model_config = example({"stage": "say", "inputs": {"name": "moon"}})

    stage: Annotated[str, Field(max_length=200, description="Where it begins: a stage, or else an offset.")] = ""
    execution: Annotated[int, Field(ge=0, description="Of the stage; 0 for its last.")] = 0
    offset: Annotated[int, Field(ge=-1, description="On the partition of the run.")] = -1
    inputs: Annotated[dict[Name, Any], Field(default_factory=dict, max_length=NAMES_MAX)]
    stored_inputs: Annotated[dict[Name, StoredInput], Field(default_factory=dict, max_length=NAMES_MAX)]
    workflow: Definition | None = None
    professions: Annotated[dict[Name, Name], Field(default_factory=dict, description="By the stage that gets another.")]
    tags: Annotated[dict[Name, Text], Field(default_factory=dict, max_length=NAMES_MAX)]
    dry_run: Annotated[bool, Field(description="Only say what would be reused.")] = False


class Output(Shown):
    """The last version of an artifact of a run."""

    version: int
    sha256: str
    size: int
    media_type: str


class StageShown(Shown):
    """One execution of a stage that has ended."""

    id: str
    execution: int
    item: int | None = None
    status: str
    attempts: int
    instance_id: str | None
    started_at: int | None
    ended_at: int


class OpenStage(Shown):
    """One execution of a stage that is under way."""

    id: str
    execution: int
    item: int | None
    status: str
    attempts: int
    instance_id: str | None
    since: int
    reason: str | None


class RunLine(Shown):
    """A run in a line."""

    run_id: str
    workflow_id: str | None
    workspace_id: str
    status: str = Field(description="running, paused, completed, failed, cancelled or refused.")
    started_at: int
    ended_at: int | None
    reason: str | None


class Origin(Shown):
    """Where a fork comes from."""

    run_id: str
    offset: int
    state: str = Field(description="Digest of the old run's state there.")


class RunShown(RunLine):
    """A run, stage by stage."""

    forked_from: Origin | None = None
    outputs: dict[str, Output]
    stages: list[StageShown]
    open_stages: list[OpenStage]


class RunWritten(Written):
    """What a call did to a run."""

    run_id: str
    workspace_id: str
    status: str


@router.post("", status_code=201, response_model=RunWritten, **needs("operator", "runs:write"))
async def start_run(order: RunOrder, gateway: Behind, asking: Asking) -> Response:
    """Start a run of a workflow. `Prefer: wait=N` waits for its end."""
    asking.caller.require("operator", order.workspace_id)
    prepared = prepare_text(order.workflow, await gateway.reading.professions.catalogue(gateway.blobs))
    await keep(gateway.blobs, prepared)
    ask = RunRequested(
        workspace_id=order.workspace_id,
        workflow_id=prepared.workflow.id,
        definition=prepared.workflow.digest(),
        professions=dict(prepared.professions),
        inputs=tuple(await read_inputs(gateway, order)),
        tags={**prepared.workflow.tags, **order.tags},
    )
    answered = await gateway.desk.ask(ask, asking, order.workspace_id)
    return await show_written(gateway, answered.id, str(answered.shown_at), asking.wait_s, 201)


async def read_inputs(gateway: Gateway, order: RunOrder | ForkOrder) -> list[Content]:
    """The inputs as contents; small ones travel in the ask, others are kept."""
    blobs = gateway.blobs
    contents = [await keep_value(blobs, name, value) for name, value in sorted(order.inputs.items())]
    for name, stored in sorted(order.stored_inputs.items()):
        if name in order.inputs:
            raise Rejected(422, f"the input `{name}` is given twice")
        contents.append(await keep_bytes(blobs, name, await blobs.get(stored.digest), stored.media_type))
    return contents


async def show_written(gateway: Gateway, run_id: str, position: str, wait_s: float | None, status: int) -> Response:
    """What a call did to a run, after its end if that is waited for."""
    runs = gateway.reading.runs.runs
    if wait_s:
        await gateway.reading.until("task", lambda: run_id not in runs or runs[run_id].progress.has_ended, wait_s)
    progress = runs[run_id].progress
    model = RunWritten(position=position, run_id=run_id, workspace_id=progress.workspace_id, status=progress.status)
    return written(model, status, location=f"{router.prefix}/{run_id}", waited=wait_s)


@router.get("", **shown(Page[RunLine], "Runs, the oldest first."), **needs("viewer", "runs:read"))
async def list_runs(
    request: Request,
    gateway: Behind,
    caller: Calling,
    turn: Turning,
    workspace_id: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[str, Query(max_length=200)] = "",
    workflow_id: Annotated[str, Query(max_length=200)] = "",
    _fresh: None = Fresh,
) -> Response:
    """List runs."""

    def keep(each: KeptRun) -> bool:
        found = each.progress
        return (
            caller.sees(found.workspace_id)
            and workspace_id in ("", found.workspace_id)
            and status in ("", found.status)
            and workflow_id in ("", found.workflow_id)
        )

    return show(request, turn.page(gateway.reading.runs.runs, keep, lambda each: _line(each.progress)))


@router.get("/{run_id}", **shown(RunShown, "The run."), **needs("viewer", "runs:read"))
async def get_run(request: Request, gateway: Behind, caller: Calling, run_id: RunId, _fresh: None = Fresh) -> Response:
    """Show one run, stage by stage."""
    return show(request, _show(find_run(gateway, caller, run_id).progress))


@router.post("/{run_id}/cancel", status_code=202, response_model=RunWritten, **needs("operator", "runs:write"))
async def cancel_run(
    gateway: Behind, asking: Asking, run_id: RunId, reason: Annotated[Text, Body(embed=True)] = ""
) -> Response:
    """End a run now; its unfinished stages are cancelled. `Prefer: wait=N` waits for its end."""
    workspace = operate(gateway, asking.caller, run_id)
    ask = RunCancelRequested(workspace_id=workspace, run_id=run_id, reason=reason)
    answered = await gateway.desk.ask(ask, asking, workspace)
    return await show_written(gateway, run_id, str(answered.shown_at), asking.wait_s, 202)


@router.post("/{run_id}/pause", status_code=202, response_model=RunWritten, **needs("operator", "runs:write"))
async def pause_run(
    gateway: Behind, asking: Asking, run_id: RunId, reason: Annotated[Text, Body(embed=True)] = ""
) -> Response:
    """Let nothing new begin in a run; what is under way ends and counts, and the run's time stands still."""
    workspace = operate(gateway, asking.caller, run_id)
    ask = RunPauseRequested(workspace_id=workspace, run_id=run_id, reason=reason)
    answered = await gateway.desk.ask(ask, asking, workspace)
    return await show_written(gateway, run_id, str(answered.shown_at), None, 202)


@router.post("/{run_id}/resume", status_code=202, response_model=RunWritten, **needs("operator", "runs:write"))
async def resume_run(gateway: Behind, asking: Asking, run_id: RunId) -> Response:
    """Let a paused run go on. `Prefer: wait=N` waits for its end."""
    workspace = operate(gateway, asking.caller, run_id)
    ask = RunResumeRequested(workspace_id=workspace, run_id=run_id)
    answered = await gateway.desk.ask(ask, asking, workspace)
    return await show_written(gateway, run_id, str(answered.shown_at), asking.wait_s, 202)


class TaskCancel(field.Body):
    """Which execution of a stage ends."""

    model_config = example({"task_id": "0d08ef26c9da1008802a2d15", "reason": "no longer wanted"})

    task_id: Name
    reason: Text = ""


@router.post("/{run_id}/cancel-task", status_code=202, response_model=RunWritten, **needs("operator", "runs:write"))
async def cancel_task(order: TaskCancel, gateway: Behind, asking: Asking, run_id: RunId) -> Response:
    """End one execution of a stage without a result; what it led to is skipped."""
    workspace = operate(gateway, asking.caller, run_id)
    ask = TaskCancelRequested(workspace_id=workspace, run_id=run_id, task_id=order.task_id, reason=order.reason)
    answered = await gateway.desk.ask(ask, asking, workspace)
    return await show_written(gateway, run_id, str(answered.shown_at), None, 202)


class Signal(field.Body):
    """A signal that stages may wait for."""

    model_config = example({"name": "go", "payload": {"by": "hand"}})

    name: Name
    payload: Any = None


@router.post("/{run_id}/signals", status_code=202, response_model=RunWritten, **needs("operator", "runs:write"))
async def signal_run(signal: Signal, gateway: Behind, asking: Asking, run_id: RunId) -> Response:
    """Trigger the stages of a run that wait for a signal."""
    workspace = operate(gateway, asking.caller, run_id)
    payload = "{}" if signal.payload is None else json.dumps(signal.payload, ensure_ascii=True)
    ask = SignalRequested(workspace_id=workspace, run_id=run_id, signal=signal.name, payload=payload)
    answered = await gateway.desk.ask(ask, asking, workspace)
    return await show_written(gateway, run_id, str(answered.shown_at), None, 202)


def operate(gateway: Gateway, caller: Caller, run_id: str) -> str:
    """The workspace of a run that the caller may operate on."""
    workspace = find_run(gateway, caller, run_id).progress.workspace_id
    caller.require("operator", workspace)
    return workspace


def find_run(gateway: Gateway, caller: Caller, run_id: str) -> KeptRun:
    """A run that the caller may see; raises NotFound."""
    found = gateway.reading.runs.runs.get(run_id)
    if found is None or not caller.sees(found.progress.workspace_id):
        raise NotFound(f"run {run_id}")
    return found


def _line_fields(progress: Progress) -> dict[str, Any]:
    return {
        "run_id": progress.run_id,
        "workflow_id": progress.workflow_id or None,
        "workspace_id": progress.workspace_id,
        "status": progress.status,
        "started_at": progress.started_at_ms or progress.ended_at_ms,
        "ended_at": progress.ended_at_ms or None,
        "reason": progress.reason or None,
    }


def _line(progress: Progress) -> RunLine:
    return RunLine(**_line_fields(progress))


def _show(progress: Progress) -> RunShown:
    outputs = {
        name: Output(version=each.version, sha256=hex_of(each.digest), size=each.size, media_type=each.media_type)
        for name, each in sorted(progress.artifacts.items())
    }
    open_stages = [
        OpenStage(
            id=each.key.stage,
            execution=each.key.execution,
            item=each.key.item if each.key.item >= 0 else None,
            status=each.status,
            attempts=each.attempts,
            instance_id=each.instance_id or None,
            since=each.since_ms,
            reason=each.reason or None,
        )
        for each in progress.executions.values()
        if not each.has_ended
    ]
    stages = [StageShown.model_validate(each) for each in list_stages(progress)]
    origin = Origin.model_validate(forked_from(progress.fork)) if progress.fork else None
    return RunShown(
        **_line_fields(progress), forked_from=origin, outputs=outputs, stages=stages, open_stages=open_stages
    )
