"""`clawx doctor`: whether everything is there that the system needs, and what holds on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.failure import DONE, FAILED
from services.cli.option import Bus, Data, Json, Server, read_settings

Quick = Annotated[bool, typer.Option("--quick", help="Only what a health check asks: the log, or the gateway.")]


def doctor(quick: Quick = False, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Say whether all is there that is needed. Exit code 1 when something is missing."""
    from services.cli.examination import examine
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    findings = run_async(examine(read_settings(bus, server, data), quick=quick))
    for each in findings:
        if as_json:
            print_json({"check": each.check, "ok": each.ok, "needed": each.needed, "detail": each.detail})
        else:
            mark = "ok  " if each.ok else "MISSING" if each.needed else "-   "
            print_line(f"{mark:7}  {each.check:12}  {each.detail}")
    raise typer.Exit(FAILED if any(each.needed and not each.ok for each in findings) else DONE)
