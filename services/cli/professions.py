"""`clawx professions`: what instances can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.definitions.catalogue import Catalogue
    from services.definitions.profession import Profession
    from services.records.event import ProfessionAdded
    from services.router.matching import Match
    from services.settings import Settings

app = typer.Typer(help="What instances can be.", no_args_is_help=True)


@app.command("list")
def list_(bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """List the professions, those that ship and those that were added."""
    from services.cli.terminal import print_rows

    rows = [_row(each) for each in _catalogue(bus, server, data)]
    print_rows(rows, ("id", "name", "category", "resource_class", "agent"), as_json)


def _row(profession: Profession) -> dict[str, object]:
    return {
        "id": profession.id,
        "name": profession.name.say("en"),
        "category": profession.category,
        "aliases": list(profession.aliases),
        "skills": profession.levels,
        "resource_class": profession.resource_class,
        "agent": profession.agent,
        "digest": profession.digest(),
    }


@app.command()
def show(
    profession: Annotated[str, typer.Argument(metavar="PROFESSION", help="Its id or an alias.")],
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show one profession whole."""
    import json

    from services.cli.terminal import print_json, print_line
    from services.definitions.catalogue import ProfessionUnknown

    try:
        found = json.loads(_catalogue(bus, server, data).require(profession).to_json())
    except ProfessionUnknown as error:
        raise Wrong(str(error)) from error
    if as_json:
        print_json(found)
        return
    import yaml

    print_line(yaml.safe_dump({"profession": found}, allow_unicode=True, sort_keys=False, width=100).rstrip())


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The profession, a YAML file.")],
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add a profession, or the next version of one."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.definitions.profession import read_profession

    try:
        source = read_profession(file.read_bytes(), str(file))
    except OSError as error:
        raise Wrong(f"{file} cannot be read: {error.strerror}") from error
    added = run_async(_add(read_settings(bus, server, data), source.profession))
    if as_json:
        print_json({"id": added.profession, "version": added.version, "digest": added.digest})
    else:
        print_line(f"{added.profession}  version {added.version}  {added.digest}")


async def _add(settings: Settings, profession: Profession) -> ProfessionAdded:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.cli.profession_list import read_catalogue
    from services.definitions.catalogue import AliasTaken
    from services.records.event import SYSTEM_KEY, ProfessionAdded, ProfessionAddRequested, ProfessionRefused

    async with asking(settings) as bus:
        try:
            (await read_catalogue(bus)).extended(profession)
        except AliasTaken as error:
            raise Wrong(str(error)) from error
        digest = await bus.blobs.put(profession.to_json())
        request = ProfessionAddRequested(profession=profession.id, digest=digest)
        words = "the profession was refused"
        answer = await obtain(bus, request, [ProfessionAdded], (ProfessionRefused,), key=SYSTEM_KEY, words=words)
        added: ProfessionAdded = answer.record
        return added


@app.command()
def match(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The task in words.")] = "",
    skill: Annotated[list[str] | None, typer.Option("--skill", help="A skill that it takes; may be repeated.")] = None,
    among: Annotated[list[str] | None, typer.Option("--among", help="Only this profession; may be repeated.")] = None,
    batch: Annotated[
        Path | None,
        typer.Option("--batch", metavar="FILE", help='Tasks as lines of {"id","text"?,"skills"?,"among"?}.'),
    ] = None,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say which professions suit a task, the best first, and whether the best is good enough to be taken."""
    from services.cli.terminal import print_json

    if bool(batch) == bool(text or skill):
        raise Wrong("give a TEXT (or --skill) to match, or --batch FILE")
    catalogue = _catalogue(bus, server, data)
    if batch:
        for answer in _match_lines(batch, catalogue):
            print_json(answer)
        return
    found = _match(catalogue, text, skill or [], among or [])
    if as_json:
        ranked = [each.profession for each in found.ranked]
        print_json({"id": None, "ranked": ranked, "accepted": found.accepted, "score": found.certainty / 1_000})
    else:
        _print(found)


def _match(catalogue: Catalogue, text: str, skills: list[str], among: list[str]) -> Match:
    from services.definitions.catalogue import ProfessionUnknown
    from services.router.index import build_index
    from services.router.matching import match_task

    try:
        known = {catalogue.require(name).id for name in among}
    except ProfessionUnknown as error:
        raise Wrong(str(error)) from error
    return match_task(build_index(catalogue), text=text, skills=skills, among=known or None)


def _match_lines(file: Path, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The answers to all lines of a file, or none if one of them is no task."""
    from services.router.batch import BatchInvalid, match_batch

    try:
        return list(match_batch(file.read_text(encoding="utf-8").split("\n"), catalogue))
    except (OSError, UnicodeDecodeError) as error:
        raise Wrong(f"{file} cannot be read: {error}") from error
    except BatchInvalid as error:
        raise Wrong(f"{file}: {error}") from error


def _print(found: Match) -> None:
    from services.cli.terminal import print_table, tell

    rows = [
        (each.profession, f"{each.points / 1000:.2f}", ", ".join(part.words for part in each.parts))
        for each in found.ranked[:5]
    ]
    print_table(("PROFESSION", "POINTS", "FOR"), rows)
    if not found.accepted:
        tell("The first is not clearly ahead: better ask than guess.")


def _catalogue(bus: str, server: str, data: Path | None) -> Catalogue:
    from services.cli.loop import run_async
    from services.cli.profession_list import find_catalogue

    return run_async(find_catalogue(read_settings(bus, server, data)))
