"""`clawx professions`: what instances can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.failure import Failed, Wrong
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
    from services.cli.answer import ask
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
        answer = await ask(bus, request, [ProfessionAdded, ProfessionRefused], key=SYSTEM_KEY)
        if isinstance(answer.record, ProfessionAdded):
            return answer.record
        raise Failed(f"the profession was refused: {answer.record.reason}")


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
    lines = _lines(batch) if batch else [{"id": None, "text": text, "skills": skill or [], "among": among}]
    for line, found in _matches(catalogue, lines):
        if as_json or batch:
            ranked = [each.profession for each in found.ranked]
            print_json({"id": line.get("id"), "ranked": ranked, "accepted": found.accepted, "score": _score(found)})
        else:
            _print(found)


def _matches(catalogue: Catalogue, lines: Any) -> Iterator[tuple[dict[str, Any], Match]]:
    from services.router.index import build_index
    from services.router.matching import match_task

    index = build_index(catalogue)
    for line in lines:
        among = line.get("among")
        known = {found.id for name in among or () if (found := catalogue.find(name))}
        yield (
            line,
            match_task(
                index,
                text=line.get("text") or "",
                skills=line.get("skills") or (),
                among=known if among else None,
            ),
        )


def _score(found: Match) -> float:
    return found.ranked[0].points / 1000 if found.ranked else 0.0


def _print(found: Match) -> None:
    from services.cli.terminal import print_table, tell

    rows = [
        (each.profession, f"{each.points / 1000:.2f}", ", ".join(part.words for part in each.parts))
        for each in found.ranked[:5]
    ]
    print_table(("PROFESSION", "POINTS", "FOR"), rows)
    if not found.accepted:
        tell("The first is not clearly ahead: better ask than guess.")


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    import json

    try:
        texts = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Wrong(f"{file} cannot be read: {error}") from error
    for number, text in enumerate(texts, 1):
        if text.strip():
            try:
                line = json.loads(text)
            except ValueError as error:
                raise Wrong(f"{file}:{number}: no JSON: {error}") from error
            if not isinstance(line, dict):
                raise Wrong(f"{file}:{number}: must be an object, found {text[:60]}")
            yield line


def _catalogue(bus: str, server: str, data: Path | None) -> Catalogue:
    from services.cli.loop import run_async
    from services.cli.profession_list import find_catalogue

    return run_async(find_catalogue(read_settings(bus, server, data)))
