"""`clawx run`: start a workflow, show how it goes, hand over what it made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings

if TYPE_CHECKING:
    from services.cli.run_request import Wish

File = Annotated[Path, typer.Argument(metavar="FILE", help="The workflow, a YAML file.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="INPUT", help="name=text, name=@file or name:=JSON; once for each input."),
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="TIME", help="Cancel the run after this long, such as 10m.")]
Key = Annotated[
    str, typer.Option("--key", metavar="KEY", help="Idempotency key: asking again under it gives the same run.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="A tag to search by; repeatable.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIRECTORY", help="Where its outputs go; by default ./clawx-out/RUN.")
]


def run(
    file: File,
    inputs: Inputs = None,
    workspace: Workspace = WORKSPACE_DEFAULT,
    timeout: Timeout = "",
    out: Out = None,
    key: Key = "",
    tags: Tags = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Run a workflow and show how it goes. On SQLite everything runs in this process."""
    from services.cli.loop import run_async
    from services.cli.run_job import read_job
    from services.cli.terminal import log_to_stderr

    log_to_stderr()
    job = read_job(
        read_settings(bus, server, data),
        file,
        inputs or [],
        wish=read_wish(workspace, key, tags or []),
        timeout_ms=read_timeout(timeout),
        out=out,
        as_json=as_json,
    )
    raise typer.Exit(run_async(job.run()))


def read_wish(workspace: str, key: str, tags: list[str]) -> Wish:
    """How a run is to be asked for."""
    from services.cli.run_request import Wish

    found: dict[str, str] = {}
    for text in tags:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise Wrong(f"--tag {text!r} must be NAME=VALUE")
        found[name] = value
    return Wish(workspace_id=workspace, key=key, tags=found)


def read_timeout(text: str) -> int:
    """Milliseconds; 0 for none."""
    from services.definitions.duration import read_duration

    try:
        return read_duration(text) if text else 0
    except ValueError as error:
        raise Wrong(f"--timeout: {error}; write it like 30s, 10m or 2h") from error
