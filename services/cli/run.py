"""`clawx run`: start a workflow, show how it goes, hand over what it made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import DONE, FAILED, Wrong
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings

if TYPE_CHECKING:
    import bus.client
    from services.audit.progress import Progress
    from services.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="The workflow, a YAML file.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="INPUT", help="name=text, name=@file or name:=JSON; once for each input."),
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="TIME", help="Cancel the run after this long, such as 10m.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIRECTORY", help="Where its outputs go; by default ./clawx-out/RUN.")
]


def run(
    file: File,
    inputs: Inputs = None,
    workspace: Workspace = WORKSPACE_DEFAULT,
    timeout: Timeout = "",
    out: Out = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Run a workflow and show how it goes. On SQLite everything runs in this process."""
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    log_to_stderr()
    settings = read_settings(bus, server, data)
    job = _Job(settings, file, inputs or [], workspace, read_timeout(timeout), out)
    raise typer.Exit(run_async(job.run(as_json)))


def read_timeout(text: str) -> int:
    """Milliseconds; 0 for none."""
    from services.definitions.duration import read_duration

    try:
        return read_duration(text) if text else 0
    except ValueError as error:
        raise Wrong(f"--timeout: {error}; write it like 30s, 10m or 2h") from error


class _Job:
    """One call of `clawx run`."""

    def __init__(
        self,
        settings: Settings,
        file: Path,
        inputs: list[str],
        workspace: str,
        timeout_ms: int,
        out: Path | None,
    ) -> None:
        from services.cli.workflow_source import read_source

        self._settings, self._workspace, self._timeout_ms, self._out = settings, workspace, timeout_ms, out
        self._typed = inputs
        self._source = read_source(file)

    async def run(self, as_json: bool) -> int:
        """Gives the exit code."""
        from services.cli.display import make_display
        from services.cli.outputs import write_outputs
        from services.cli.profession_list import find_catalogue
        from services.cli.run_input import read_inputs
        from services.cli.run_request import ask_for_run
        from services.cli.terminal import tell
        from services.cli.watch import watch_run
        from services.cli.workflow_source import prepare, stage_names

        # Everything that can be wrong is found before anything is written.
        prepared = prepare(self._source, await find_catalogue(self._settings))
        inputs = read_inputs(prepared.source, self._typed)
        for warning in prepared.warnings:
            tell(f"warning: {warning}")
        title = prepared.workflow.name or prepared.workflow.id
        async with _system(self._settings) as (bus, failed):
            asked = await ask_for_run(bus, prepared, inputs, self._workspace)
            with make_display(f"{title}  {asked.run_id}", stage_names(prepared)) as display:
                progress = await watch_run(bus, asked, display, self._timeout_ms, failed)
            if progress.status == "refused":
                raise Wrong(f"the run was refused: {progress.reason}")
            directory = (self._out or Path("clawx-out") / asked.run_id).absolute()
            paths = await write_outputs(progress.artifacts.values(), bus.blobs, directory)
        _print(progress, paths, as_json)
        return DONE if progress.status == "completed" else FAILED


@asynccontextmanager
async def _system(
    settings: Settings,
) -> AsyncIterator[tuple[bus.client.Bus, Callable[[], Awaitable[str]] | None]]:
    """The bus to ask, and how to hear that what this process hosts has failed."""
    from services.cli.connection import hosts_itself, server_of
    from services.client import connect

    if hosts_itself(settings):
        from services.cli.hosting import hosting

        async with hosting(settings) as (system, failed):
            yield system.bus, failed
    else:
        async with connect(server_of(settings) or settings.bus_url, settings=settings) as found:
            yield found, None


def _print(progress: Progress, paths: dict[str, str], as_json: bool) -> None:
    from services.audit.progress import summarise
    from services.cli.display import span
    from services.cli.terminal import print_json, print_line, tell

    took = span(progress.ended_at_ms - progress.started_at_ms) if progress.started_at_ms else ""
    reason = f": {progress.reason}" if progress.reason else ""
    tell(f"run {progress.run_id} {progress.status}{f' in {took}' if took else ''}{reason}")
    if as_json:
        print_json(summarise(progress, paths))
        return
    for name, artifact in progress.artifacts.items():  # what was made last stands last, where the eye is
        print_line(f"{name}  version {artifact.version}  {paths[name]}")
    tell(f"how it came about: clawx trace {progress.run_id}")
