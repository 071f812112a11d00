"""`clawx schedules`: runs that start by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.failure import Wrong
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings
from services.cli.run import File, Inputs, Tags, read_wish

if TYPE_CHECKING:
    from pathlib import Path

    from bus.record import Record
    from services.audit.schedules import Planned
    from services.cli.run_request import Wish
    from services.records.schedule import Timetable
    from services.settings import Settings

app = typer.Typer(help="Runs that start by the clock.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Name of the schedule.")]


@app.command()
def create(
    file: File,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="By default the workflow's id.")] = "",
    cron: Annotated[
        str, typer.Option("--cron", metavar="EXPRESSION", help='Such as "0 2 * * MON-FRI": minute, hour, day, …')
    ] = "",
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="Instead of --cron, such as 10m.")] = "",
    time_zone: Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="Such as Europe/Berlin.")] = "UTC",
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="allow|skip|queue|cancel_running", help="While a run is under way.")
    ] = "skip",
    catch_up: Annotated[
        str, typer.Option("--catch-up", metavar="one|skip|all", help="Of starts that were missed.")
    ] = "one",
    window: Annotated[
        str, typer.Option("--catch-up-window", metavar="TIME", help="What was missed longer ago is skipped.")
    ] = "1d",
    most: Annotated[int, typer.Option("--catch-up-max", min=1, max=100, help="So many of `all` at most.")] = 10,
    inputs: Inputs = None,
    tags: Tags = None,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a schedule of a workflow, by --cron or by --every."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line, say_time
    from services.definitions.duration import read_duration
    from services.records.schedule import Timetable

    try:
        table = Timetable(
            cron=cron,
            every_ms=read_duration(every) if every else 0,
            time_zone=time_zone,
            overlap=overlap,
            catch_up=catch_up,
            catch_up_window_ms=read_duration(window),
            catch_up_max=most,
        )
    except ValueError as error:
        raise Wrong(str(error)) from error
    wish = read_wish(workspace, "", tags or [])
    made = run_async(_create(read_settings(bus, server, data), file, name, table, inputs or [], wish))
    if as_json:
        print_json({"schedule_id": made.schedule_id, "next_due_at": made.next_due_ms})
    else:
        print_line(f"{made.schedule_id}  is due at {say_time(made.next_due_ms)}")


async def _create(settings: Settings, file: Path, name: str, table: Timetable, typed: list[str], wish: Wish) -> Any:
    import getpass

    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.cli.contents import keep_content
    from services.cli.profession_list import read_catalogue
    from services.cli.run_input import read_inputs
    from services.cli.workflow_source import prepare_file, read_source
    from services.orchestrator.due import TimetableInvalid, check_timetable
    from services.records.schedule import ScheduleCreated, ScheduleCreateRequested, ScheduleRefused, Start

    source = read_source(file)
    try:
        check_timetable(table)
    except TimetableInvalid as error:
        raise Wrong(str(error)) from error
    async with asking(settings) as bus:
        prepared = prepare_file(source, await read_catalogue(bus))
        given = sorted(read_inputs(prepared.source, typed).items())
        for blob in prepared.blobs.values():
            await bus.blobs.put(blob)
        start = Start(
            workflow_id=prepared.workflow.id,
            definition=prepared.workflow.digest(),
            professions=dict(prepared.professions),
            inputs=tuple([await keep_content(bus.blobs, n, each.content, each.media_type) for n, each in given]),
            tags=wish.tags,
        )
        request = ScheduleCreateRequested(
            workspace_id=wish.workspace_id,
            actor=getpass.getuser(),
            schedule_id=name or prepared.workflow.id,
            timetable=table,
            start=start,
        )
        words, key = "the schedule was not made", wish.workspace_id
        return (await obtain(bus, request, [ScheduleCreated], (ScheduleRefused,), key=key, words=words)).record


@app.command("list")
def list_(bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """List schedules, the oldest first."""
    from services.audit.schedules import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows, say_time

    rows = [describe(each) for each in run_async(_read(read_settings(bus, server, data))).values()]
    heads = ("schedule_id", "workspace_id", "workflow_id", "status", "due", "started", "skipped")
    shown = rows if as_json else [{**row, "due": say_time(row["next_due_at"])} for row in rows]
    print_rows(shown, heads, as_json)


@app.command()
def show(
    schedule: Id,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show a schedule with its latest starts."""
    from services.audit.schedules import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line, print_rows, say_time

    found = run_async(_read(read_settings(bus, server, data))).get(f"{schedule}/{workspace}")
    if found is None:
        raise Wrong(f"workspace `{workspace}` has no schedule {schedule}")
    row = describe(found)
    if as_json:
        print_json(row)
        return
    starts = row.pop("starts")
    for name, value in row.items():
        print_line(f"{name:18}  {say_time(value) if name.endswith('_at') else value}")
    rows = [{**start, "due": say_time(start["due_at"])} for start in starts]
    print_rows(rows, ("due", "run_id", "status", "reason"), False)


async def _read(settings: Settings) -> dict[str, Planned]:
    from services.audit.schedules import SCHEDULED, fold_schedules
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_schedules([each async for each in bus.subscribe("task", SCHEDULED, live=False)])


@app.command()
def pause(
    schedule: Id,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Start nothing until it is resumed; what waits is dropped."""
    _change(read_settings(bus, server, data), schedule, workspace, "pause", as_json)


@app.command()
def resume(
    schedule: Id,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Go on with a paused schedule; what was due meanwhile is skipped."""
    _change(read_settings(bus, server, data), schedule, workspace, "resume", as_json)


@app.command()
def delete(
    schedule: Id,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Delete a schedule; its runs go on."""
    _change(read_settings(bus, server, data), schedule, workspace, "delete", as_json)


@app.command()
def trigger(
    schedule: Id,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Start a run now, beside the timetable."""
    _change(read_settings(bus, server, data), schedule, workspace, "trigger", as_json)


def _change(settings: Settings, schedule: str, workspace: str, change: str, as_json: bool) -> None:
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    said = run_async(_ask(settings, schedule, workspace, change))
    run_id, status = getattr(said, "run_id", None), getattr(said, "status", None)
    if as_json:
        answer = type(said).__name__
        print_json({"schedule_id": schedule, "answer": answer, "status": status, "run_id": run_id})
    else:
        print_line(f"{schedule}  {run_id or status or getattr(said, 'reason', '') or 'queued'}")


async def _ask(settings: Settings, schedule: str, workspace: str, change: str) -> Record:
    import getpass

    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.schedule import (
        ScheduleChanged,
        ScheduleChangeRequested,
        ScheduledRunQueued,
        ScheduledRunRequested,
        ScheduledRunSkipped,
        ScheduleRefused,
    )

    request = ScheduleChangeRequested(
        workspace_id=workspace, actor=getpass.getuser(), schedule_id=schedule, change=change
    )
    starts = (ScheduledRunRequested, ScheduledRunQueued, ScheduledRunSkipped)
    answers = starts if change == "trigger" else (ScheduleChanged,)
    async with asking(settings) as bus:
        said: Record = (await obtain(bus, request, answers, (ScheduleRefused,), key=workspace)).record
        return said
