"""`clawx workflows`: definitions and their runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import forks, workflow_import, workflow_show
from services.cli.failure import DONE, WRONG, Wrong
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings
from services.cli.run import File, Inputs, Key, Tags, read_wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.client import Bus as OpenBus
    from bus.record import Ask, Record
    from services.audit.runs import Run
    from services.cli.run_request import Asked, Wish
    from services.definitions.problem import Problem
    from services.settings import Settings

app = typer.Typer(help="Workflows and their runs.", no_args_is_help=True)
app.command()(workflow_show.show)
app.command("import")(workflow_import.import_)
app.command()(forks.fork)
app.command()(forks.rerun)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
HEADS = ("run_id", "workflow_id", "workspace_id", "status", "started_at", "ended_at", "reason")


@app.command()
def validate(file: File, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Find everything that is wrong with a workflow before it runs."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.definitions.problem import DefinitionInvalid

    try:
        problems = run_async(_validate(read_settings(bus, server, data), file))
    except DefinitionInvalid as error:
        problems = list(error.problems)
    is_valid = all(problem.severity == "warning" for problem in problems)
    if as_json:
        print_json({"file": str(file), "valid": is_valid, "problems": [_problem(problem) for problem in problems]})
    else:
        for problem in problems:
            print_line(f"{problem.severity}: {problem}")
        print_line(f"{file} is valid" if is_valid else f"{file} cannot be run")
    raise typer.Exit(DONE if is_valid else WRONG)


async def _validate(settings: Settings, file: Path) -> list[Problem]:
    from services.cli.profession_list import find_catalogue
    from services.cli.workflow_source import prepare_file, read_source

    source = read_source(file)
    return list(prepare_file(source, await find_catalogue(settings)).warnings)


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "field": problem.field,
        "severity": problem.severity,
        "reason": problem.reason,
        "suggestion": problem.suggestion,
    }


@app.command()
def start(
    file: File,
    inputs: Inputs = None,
    workspace: Workspace = WORKSPACE_DEFAULT,
    key: Key = "",
    tags: Tags = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Start a run and return at once; the run goes on in the system that runs."""
    from services.cli.connection import hosts_itself
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    settings = read_settings(bus, server, data)
    if hosts_itself(settings):
        raise Wrong("nothing runs that would go on with it: use `clawx run`, or start the system with `clawx up`")
    asked = run_async(_start(settings, file, inputs or [], read_wish(workspace, key, tags or [])))
    if as_json:
        where = {"workspace_id": asked.workspace_id, "position": str(asked.at)}
        print_json({"run_id": asked.run_id, **where, "known": asked.is_known})
    else:
        print_line(asked.run_id)


async def _start(settings: Settings, file: Path, typed: list[str], wish: Wish) -> Asked:
    from services.cli.connection import asking
    from services.cli.profession_list import read_catalogue
    from services.cli.run_input import read_inputs
    from services.cli.run_request import ask_for_run
    from services.cli.workflow_source import prepare_file, read_source

    source = read_source(file)
    async with asking(settings) as bus:
        prepared = prepare_file(source, await read_catalogue(bus))
        return await ask_for_run(bus, prepared, read_inputs(prepared.source, typed), wish)


@app.command("list")
def list_(
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="NAME[=VALUE]", help="Only runs with this tag; repeatable.")
    ] = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the runs, the oldest first."""
    from services.audit.runs import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows, say_time

    wanted = {name: value if sign else None for name, sign, value in (tag.partition("=") for tag in tags or [])}
    found = run_async(_read_runs(read_settings(bus, server, data))).values()
    rows = [describe(each) for each in found if each.is_tagged(wanted)]
    if not as_json:
        rows = [{**row, **{name: say_time(row[name]) for name in ("started_at", "ended_at")}} for row in rows]
    print_rows(rows, HEADS, as_json)


async def _read_runs(settings: Settings) -> dict[str, Run]:
    from services.audit.runs import LISTED, fold_runs
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_runs([each async for each in bus.subscribe("task", LISTED, live=False)])


@app.command()
def cancel(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")] = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """End a run now; its unfinished stages are cancelled."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    status = run_async(_cancel(read_settings(bus, server, data), run_id, reason))
    print_json({"run_id": run_id, "status": status}) if as_json else print_line(f"{run_id}  {status}")


async def _cancel(settings: Settings, run_id: str, reason: str) -> str:
    from services.cli.answer import wait_for
    from services.cli.connection import asking
    from services.records.task import RunCancelRequested, RunEnded

    async with asking(settings) as bus:
        run = await _find_run(bus, run_id)
        if run.ended_at_ms:
            raise Wrong(f"{run_id} has ended already: {run.status}")
        request = RunCancelRequested(workspace_id=run.workspace_id, run_id=run_id, reason=reason)
        await bus.publish(request)
        end = await wait_for(bus, "task", [RunEnded], lambda each: each.record.run_id == run_id, key=run.workspace_id)
        return str(end.record.status)


@app.command()
def pause(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")] = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Let nothing new begin in a run; what is under way ends and counts, and the run's time stands still."""
    from services.records.task import RunPaused, RunPauseRequested

    _change(
        read_settings(bus, server, data),
        run_id,
        lambda workspace: RunPauseRequested(workspace_id=workspace, run_id=run_id, reason=reason),
        RunPaused,
        "paused",
        as_json,
    )


@app.command()
def resume(run_id: RunId, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Let a paused run go on."""
    from services.records.task import RunResumed, RunResumeRequested

    _change(
        read_settings(bus, server, data),
        run_id,
        lambda workspace: RunResumeRequested(workspace_id=workspace, run_id=run_id),
        RunResumed,
        "running",
        as_json,
    )


def _change(
    settings: Settings, run_id: str, request: Callable[[str], Ask], answer: type[Record], status: str, as_json: bool
) -> None:
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    run_async(_ask_for(settings, run_id, request, answer))
    print_json({"run_id": run_id, "status": status}) if as_json else print_line(f"{run_id}  {status}")


async def _ask_for(settings: Settings, run_id: str, request: Callable[[str], Ask], answer: type[Record]) -> None:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.task import AskRefused

    async with asking(settings) as bus:
        run = await _find_run(bus, run_id)
        await obtain(bus, request(run.workspace_id), [answer], (AskRefused,), key=run.workspace_id)


@app.command()
def signal(
    run_id: RunId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal that stages wait for.")],
    payload: Annotated[str, typer.Option("--payload", metavar="JSON", help="Handed to the stage.")] = "{}",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Trigger the stages of a run that wait for a signal."""
    import json

    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    try:
        json.loads(payload)
    except ValueError as error:
        raise Wrong(f"--payload must be JSON: {error}") from error
    stage = run_async(_signal(read_settings(bus, server, data), run_id, name, payload))
    print_json({"run_id": run_id, "signal": name, "stage": stage}) if as_json else print_line(f"{run_id}  {stage}")


async def _signal(settings: Settings, run_id: str, name: str, payload: str) -> str:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.task import AskRefused, SignalRequested, StageCompleted

    async with asking(settings) as bus:
        run = await _find_run(bus, run_id)
        request = SignalRequested(workspace_id=run.workspace_id, run_id=run_id, signal=name, payload=payload)
        answer = await obtain(bus, request, [StageCompleted], (AskRefused,), key=run.workspace_id)
        return str(answer.record.stage)


async def _find_run(bus: OpenBus, run_id: str) -> Run:
    from services.audit.runs import LISTED, fold_runs

    found = fold_runs([each async for each in bus.subscribe("task", LISTED, live=False)]).get(run_id)
    if found is None:
        raise Wrong(f"there is no run {run_id}")
    return found
