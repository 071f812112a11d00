"""/schedules: runs that start by the clock."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from services.audit.schedules import Planned, describe
from services.definitions.duration import read_duration
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Caller, Calling, needs
from services.gateway.definition import keep, keep_value, prepare_text
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import NotFound, Rejected
from services.gateway.resources.field import Body, Name, Shown, Text, Workspace, Written, example
from services.records.content import NAMES_MAX
from services.records.schedule import ScheduleChangeRequested, ScheduleCreateRequested, Start, Timetable

router = APIRouter(prefix=f"{PREFIX}/schedules", tags=["schedules"])

EXAMPLE = "id: report\nstages:\n  - {id: write, profession: technical_writer, agent: script, output: [text]}\n"

ScheduleId = Annotated[str, Path(max_length=100)]
InWorkspace = Annotated[str, Query(max_length=200, description="The workspace that the schedule belongs to.")]
Span = Annotated[str, Field(max_length=40, description="A length of time such as `10m`.")]


class ScheduleDraft(Body):
    """A schedule to be made."""

    model_config = example(
        {
            "schedule_id": "nightly",
            "workflow": EXAMPLE,
            "cron": "0 2 * * *",
            "time_zone": "Europe/Berlin",
            "overlap": "skip",
            "catch_up": "one",
        }
    )

    schedule_id: Annotated[str, Field(max_length=100)]
    workspace_id: Workspace = "default"
    workflow: Annotated[str | dict[str, Any], Field(description="As YAML or JSON text, or as an object.")]
    inputs: Annotated[dict[Name, Any], Field(default_factory=dict, max_length=NAMES_MAX)]
    tags: Annotated[dict[Name, Text], Field(default_factory=dict, max_length=NAMES_MAX)]
    cron: Annotated[str, Field(max_length=200, description="Minute, hour, day of month, month, day of week.")] = ""
    every: Span = ""
    time_zone: Annotated[str, Field(max_length=100)] = "UTC"
    overlap: Annotated[str, Field(max_length=40, description="allow, skip, queue or cancel_running.")] = "skip"
    catch_up: Annotated[str, Field(max_length=40, description="Of missed starts: one, skip or all.")] = "one"
    catch_up_window: Span = "1d"
    catch_up_max: Annotated[int, Field(ge=1, le=100)] = 10


class StartShown(Shown):
    """A start of a schedule."""

    run_id: str | None
    due_at: int
    status: str
    reason: str | None


class ScheduleShown(Shown):
    """A schedule as it is now."""

    schedule_id: str
    workspace_id: str
    workflow_id: str
    status: str = Field(description="active or paused.")
    cron: str | None
    every_ms: int | None
    time_zone: str
    overlap: str
    catch_up: str
    catch_up_window_ms: int
    catch_up_max: int
    next_due_at: int | None
    started: int
    skipped: int
    starts: list[StartShown] = Field(description="The latest ones.")
    created_at: int
    created_by: str | None


class ScheduleWritten(Written):
    """A schedule that was made or changed, and what that led to."""

    schedule_id: str
    answer: str = Field(description="Type of the record that answers the call.", examples=["ScheduleCreated"])


@router.get("", **shown(Page[ScheduleShown], "Schedules, the oldest first."), **needs("viewer", "schedules:read"))
async def list_schedules(
    request: Request, gateway: Behind, caller: Calling, turn: Turning, _fresh: None = Fresh
) -> Response:
    """List schedules."""

    def keep_seen(each: Planned) -> bool:
        return caller.sees(each.made.workspace_id)

    return show(request, turn.page(gateway.reading.schedules.schedules, keep_seen, _show))


@router.get("/{schedule_id}", **shown(ScheduleShown, "The schedule."), **needs("viewer", "schedules:read"))
async def get_schedule(
    request: Request,
    gateway: Behind,
    caller: Calling,
    schedule_id: ScheduleId,
    workspace_id: InWorkspace = "default",
    _fresh: None = Fresh,
) -> Response:
    """Show one schedule with its latest starts."""
    return show(request, _show(_find(gateway, caller, schedule_id, workspace_id)))


@router.post("", status_code=201, response_model=ScheduleWritten, **needs("operator", "schedules:write"))
async def create_schedule(draft: ScheduleDraft, gateway: Behind, asking: Asking) -> Response:
    """Make a schedule of a workflow."""
    asking.caller.require("operator", draft.workspace_id)
    prepared = prepare_text(draft.workflow, await gateway.reading.professions.catalogue(gateway.blobs))
    timetable = _timetable(draft)
    await keep(gateway.blobs, prepared)
    ask = ScheduleCreateRequested(
        workspace_id=draft.workspace_id,
        schedule_id=draft.schedule_id,
        timetable=timetable,
        start=Start(
            workflow_id=prepared.workflow.id,
            definition=prepared.workflow.digest(),
            professions=dict(prepared.professions),
            inputs=tuple([await keep_value(gateway.blobs, *each) for each in sorted(draft.inputs.items())]),
            tags=draft.tags,
        ),
    )
    return await _write(ask, gateway, asking, 201)


def _timetable(draft: ScheduleDraft) -> Timetable:
    try:
        return Timetable(
            cron=draft.cron,
            every_ms=read_duration(draft.every) if draft.every else 0,
            time_zone=draft.time_zone,
            overlap=draft.overlap,
            catch_up=draft.catch_up,
            catch_up_window_ms=read_duration(draft.catch_up_window),
            catch_up_max=draft.catch_up_max,
        )
    except ValueError as error:
        raise Rejected(422, str(error)) from error


@router.post("/{schedule_id}/{change}", response_model=ScheduleWritten, **needs("operator", "schedules:write"))
async def change_schedule(
    gateway: Behind,
    asking: Asking,
    schedule_id: ScheduleId,
    change: Annotated[str, Path(pattern="^(pause|resume|trigger)$")],
    workspace_id: InWorkspace = "default",
) -> Response:
    """Pause or resume a schedule, or trigger a start now."""
    asking.caller.require("operator", workspace_id)
    ask = ScheduleChangeRequested(workspace_id=workspace_id, schedule_id=schedule_id, change=change)
    return await _write(ask, gateway, asking, 200)


@router.delete("/{schedule_id}", response_model=ScheduleWritten, **needs("operator", "schedules:write"))
async def delete_schedule(
    gateway: Behind, asking: Asking, schedule_id: ScheduleId, workspace_id: InWorkspace = "default"
) -> Response:
    """Delete a schedule; its runs go on."""
    asking.caller.require("operator", workspace_id)
    ask = ScheduleChangeRequested(workspace_id=workspace_id, schedule_id=schedule_id, change="delete")
    return await _write(ask, gateway, asking, 200)


async def _write(
    ask: ScheduleCreateRequested | ScheduleChangeRequested, gateway: Gateway, asking: Asking, status: int
) -> Response:
    answered = await gateway.desk.ask(ask, asking, ask.workspace_id)
    model = ScheduleWritten(position=str(answered.shown_at), schedule_id=ask.schedule_id, answer=answered.kept.answer)
    location = f"{router.prefix}/{ask.schedule_id}?workspace_id={ask.workspace_id}" if status == 201 else ""
    return written(model, status, location=location)


def _find(gateway: Gateway, caller: Caller, schedule_id: str, workspace_id: str) -> Planned:
    found = gateway.reading.schedules.schedules.get(f"{schedule_id}/{workspace_id}")
    if found is None or not caller.sees(workspace_id):
        raise NotFound(f"schedule {schedule_id}")
    return found


def _show(planned: Planned) -> ScheduleShown:
    return ScheduleShown.model_validate(describe(planned))
