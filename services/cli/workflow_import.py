"""`clawx workflows import`: a workflow of another system as a file of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.failure import DONE, FAILED, Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.definitions.foreign.reading import Imported

Foreign = Annotated[Path, typer.Argument(metavar="FILE", help="Serverless Workflow 1.0, or jobs with `needs`.")]
Format = Annotated[Literal["auto", "serverless", "github"], typer.Option("--format", help="What the file is.")]
Profession = Annotated[str, typer.Option("--profession", metavar="NAME", help="Who does the work of its tasks.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead of on stdout.")]


def import_(
    file: Foreign,
    form: Format = "auto",
    profession: Profession = "software_developer",
    out: Out = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Translate a workflow of another system into ours, and list what did not carry over."""
    from services.cli.loop import run_async
    from services.cli.profession_list import find_catalogue
    from services.definitions.foreign.reading import import_workflow

    if out is not None and out.exists():
        raise Wrong(f"{out} is there already")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Wrong(f"{file} cannot be read: {error.strerror}") from error
    catalogue = run_async(find_catalogue(read_settings(bus, server, data)))
    if catalogue.find(profession) is None:
        raise Wrong(f"the profession `{profession}` is not known; `clawx professions list` names them")
    found = import_workflow(content, str(file), format_=form, profession=profession, professions=catalogue.levels())
    if out is not None and found.is_valid:
        out.write_text(found.text, encoding="utf-8")
    _print(found, as_json, quiet=out is not None)
    raise typer.Exit(DONE if found.is_valid else FAILED)


def _print(found: Imported, as_json: bool, *, quiet: bool) -> None:
    from services.cli.terminal import print_json, print_line, tell

    if as_json:
        print_json(
            {
                "format": found.format,
                "valid": found.is_valid,
                "workflow": found.text,
                "left_out": [{"where": loss.where, "reason": loss.reason} for loss in found.losses],
                "problems": [str(problem) for problem in found.problems],
            }
        )
        return
    if not quiet:
        print_line(found.text.rstrip("\n"))
    for loss in found.losses:
        tell(f"left out: {loss.where}: {loss.reason}")
    for problem in found.problems:
        tell(f"{problem.severity}: {problem}")
