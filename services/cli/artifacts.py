"""`clawx artifacts`: what a run made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.settings import Settings

app = typer.Typer(help="What runs made.", no_args_is_help=True)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]


@app.callback()
def artifacts() -> None:
    """What runs made."""


@app.command("list")
def list_(run_id: RunId, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """List every version of every artifact of a run: who wrote it, having read what."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows

    rows = run_async(_read(read_settings(bus, server, data), run_id))
    print_rows(rows, ("name", "version", "stage", "execution", "base_version", "sha256"), as_json)


async def _read(settings: Settings, run_id: str) -> list[dict[str, object]]:
    from services.audit.artifacts import WRITTEN, list_artifacts
    from services.cli.connection import reading
    from services.records.task import RunStarted

    async with reading(settings) as bus:
        found = [each async for each in bus.subscribe("task", [RunStarted, *WRITTEN], live=False)]
    if not any(isinstance(each.record, RunStarted) and each.record.run_id == run_id for each in found):
        raise Wrong(f"there is no run {run_id}")
    return list(list_artifacts(run_id, found))
