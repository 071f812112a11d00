"""`clawx workflows fork` and `rerun`: second chances for runs, under way or ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings
from services.cli.run import Inputs, Key, Out, Tags, Timeout, read_timeout, read_wish

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the old run.")]
At = Annotated[
    str, typer.Option("--at", metavar="STAGE|OFFSET", help="Where it begins: build, build#2, 120 or task/3/120.")
]
From = Annotated[str, typer.Option("--from", metavar="STAGE", help="The stage that it begins with: build, or build#2.")]
Changed = Annotated[
    Path | None, typer.Option("--definition", metavar="FILE", help="A changed workflow; it must go with what was done.")
]
Professions = Annotated[
    list[str] | None,
    typer.Option("--profession", metavar="STAGE=PROFESSION", help="Another profession for a stage; repeatable."),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Only show what would be reused and what asked anew.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Print the id of the new run and return at once.")]


def fork(
    run_id: RunId,
    at: At,
    inputs: Inputs = None,
    definition: Changed = None,
    professions: Professions = None,
    dry_run: Dry = False,
    no_wait: NoWait = False,
    timeout: Timeout = "",
    out: Out = None,
    key: Key = "",
    tags: Tags = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Start a new run from any point of an old one; nothing done before that point is done again.

    Changed inputs, definition or professions count from there on. What is reused is shown beforehand.
    """
    from services.cli.fork_job import ForkJob, Point
    from services.cli.loop import run_async
    from services.cli.run_job import Following
    from services.cli.terminal import log_to_stderr

    log_to_stderr()
    job = ForkJob(
        settings=read_settings(bus, server, data),
        run_id=run_id,
        point=Point.read(at),
        following=Following(timeout_ms=read_timeout(timeout), out=out, as_json=as_json),
        inputs=tuple(inputs or ()),
        definition=definition,
        professions=dict(_profession(text) for text in professions or ()),
        tags=read_wish("", key, tags or []).tags,
        key=key,
        dry_run=dry_run,
        waits=not no_wait,
    )
    raise typer.Exit(run_async(job.run()))


def rerun(
    run_id: RunId,
    from_: From,
    dry_run: Dry = False,
    no_wait: NoWait = False,
    timeout: Timeout = "",
    out: Out = None,
    key: Key = "",
    tags: Tags = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Run a run again from a stage on, with nothing changed; what it had done before is reused."""
    fork(
        run_id,
        from_,
        dry_run=dry_run,
        no_wait=no_wait,
        timeout=timeout,
        out=out,
        key=key,
        tags=tags,
        bus=bus,
        server=server,
        data=data,
        as_json=as_json,
    )


def _profession(text: str) -> tuple[str, str]:
    stage, sign, profession = text.partition("=")
    if not sign or not stage or not profession:
        raise Wrong(f"--profession {text!r} must be STAGE=PROFESSION")
    return stage, profession
