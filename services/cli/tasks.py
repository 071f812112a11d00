"""`clawx tasks`: what waits for a person to do it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from bus.client import Bus as OpenBus
    from services.audit.tasks import Task
    from services.settings import Settings

app = typer.Typer(help="What waits for a person to do it.", no_args_is_help=True)


@app.command("list")
def list_(bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """List the tasks that are open, the oldest first."""
    from services.audit.tasks import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows

    found = run_async(_read(read_settings(bus, server, data)))
    heads = ("task_id", "run_id", "stage", "execution", "instructions")
    print_rows([describe(each) for each in found.values()], heads, as_json)


async def _read(settings: Settings) -> dict[str, Task]:
    from services.audit.tasks import TASKED, fold_tasks
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_tasks([each async for each in bus.subscribe("task", TASKED, live=False)])


@app.command()
def answer(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Id of the task.")],
    result: Annotated[str, typer.Option("--result", metavar="JSON", help="What the edges decide on.")] = "{}",
    output: Annotated[
        list[str] | None, typer.Option("--output", metavar="OUTPUT", help="name=text or name=@file; may be repeated.")
    ] = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Answer a task: its result and its outputs."""
    import json

    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    try:
        if not isinstance(json.loads(result), dict):
            raise Wrong(f"--result must be a JSON object, found {result[:60]}")
    except ValueError as error:
        raise Wrong(f"--result must be a JSON object: {error}") from error
    outputs = dict(_output(text) for text in output or [])
    found = run_async(_answer(read_settings(bus, server, data), task, result, outputs))
    if as_json:
        print_json({"task_id": task, "run_id": found.run_id, "stage": found.stage})
    else:
        print_line(f"{task}  {found.stage} of {found.run_id} is answered")


def _output(text: str) -> tuple[str, tuple[bytes, str]]:
    """Name, content and media type."""
    from services.cli.media_type import TEXT, media_type_of

    name, sign, value = text.partition("=")
    if not sign or not name:
        raise Wrong(f"--output {text!r} must be name=text or name=@file")
    if not value.startswith("@"):
        return name, (value.encode(errors="surrogateescape"), TEXT)
    path = Path(value[1:]).expanduser()
    try:
        return name, (path.read_bytes(), media_type_of(path.name))
    except OSError as error:
        raise Wrong(f"the output `{name}` cannot be read from {path}: {error.strerror}") from error


async def _answer(settings: Settings, task_id: str, result: str, outputs: dict[str, tuple[bytes, str]]) -> Task:
    from services.audit.tasks import TASKED, fold_tasks
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.cli.contents import keep_content
    from services.records.task import AskRefused, AttemptFailed, StageCompleted, StageEnded, TaskAnswerRequested

    async with asking(settings) as bus:
        found = fold_tasks([each async for each in bus.subscribe("task", TASKED, live=False)]).get(task_id)
        if found is None:
            raise Wrong(f"no task {task_id} waits for a person")
        contents = [await keep_content(bus.blobs, name, *content) for name, content in sorted(outputs.items())]
        request = TaskAnswerRequested(
            workspace_id=found.workspace_id,
            run_id=found.run_id,
            task_id=task_id,
            result=result,
            outputs=tuple(contents),
        )
        failures = (StageEnded, AttemptFailed, AskRefused)
        await obtain(bus, request, [StageCompleted], failures, key=found.workspace_id)
        return found


@app.command()
def cancel(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Id of the task, as `clawx trace RUN` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")] = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """End one execution of a stage without a result; what it led to is skipped and its run goes on."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    run_id, stage = run_async(_cancel(read_settings(bus, server, data), task, reason))
    if as_json:
        print_json({"task_id": task, "run_id": run_id, "stage": stage})
    else:
        print_line(f"{task}  {stage} of {run_id} is cancelled")


async def _cancel(settings: Settings, task_id: str, reason: str) -> tuple[str, str]:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.task import AskRefused, StageEnded, StageStopping, TaskCancelRequested

    async with asking(settings) as bus:
        workspace_id, run_id = await _owner_of(bus, task_id)
        request = TaskCancelRequested(workspace_id=workspace_id, run_id=run_id, task_id=task_id, reason=reason)
        answer = await obtain(bus, request, (StageEnded, StageStopping), (AskRefused,), key=workspace_id)
        return run_id, answer.record.stage


async def _owner_of(bus: OpenBus, task_id: str) -> tuple[str, str]:
    """Workspace and run of a task."""
    from services.records.task import StageStarted, TaskRequested

    async for each in bus.subscribe("task", [TaskRequested, StageStarted], live=False):
        record = each.record
        if record.task_id == task_id:
            return record.workspace_id, record.work.run_id if isinstance(record, TaskRequested) else record.run_id
    raise Wrong(f"there is no task {task_id}")
