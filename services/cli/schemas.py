"""`clawx schemas`: the Avro schemas of the language, as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.failure import Failed, Wrong
from services.cli.option import Json

app = typer.Typer(help="The Avro schemas of the records.", no_args_is_help=True)

Directory = Annotated[
    Path | None, typer.Argument(metavar="DIRECTORY", help="Where they are; by default schemas/ of the source tree.")
]

Version = Annotated[str, typer.Argument(metavar="VERSION", help="Such as 1.0.0.")]

NAMED_MAX = 5
"""How many files a sentence names."""


@app.command()
def export(directory: Directory = None, as_json: Json = False) -> None:
    """Write CHANNEL/TYPE.avsc for every record type, and remove those of types that are gone."""
    from services.cli.terminal import print_json, print_line
    from services.records.releases import schema_directory

    root = directory or schema_directory()
    changed = list(write_schemas(root))
    if as_json:
        print_json({"directory": str(root), "changed": changed})
    else:
        print_line(f"{root}: " + (", ".join(changed) if changed else "nothing to change"))


@app.command()
def check(directory: Directory = None, as_json: Json = False) -> None:
    """Compare the files with the record classes, and these with every release; exit code 1 if anything is wrong."""
    from services.cli.terminal import print_json, print_line
    from services.records.releases import schema_directory

    root = directory or schema_directory()
    differing, broken = list(compare_schemas(root)), broken_schemas(root)
    if as_json:
        print_json({"directory": str(root), "differing": differing, "incompatible": broken})
    _refuse(root, differing, broken)
    if not as_json:
        print_line(f"{root} is what the record classes say")


@app.command()
def release(version: Version, directory: Directory = None, as_json: Json = False) -> None:
    """Declare a version: from here on every change of a schema must be FULL_TRANSITIVE with it."""
    from services.cli.terminal import print_json, print_line
    from services.records.releases import RELEASED, next_release, read_releases, schema_directory

    root = directory or schema_directory()
    _refuse(root, list(compare_schemas(root)), broken_schemas(root))
    before = read_releases(root)
    if version in {each.version for each in before}:
        raise Wrong(f"{version} was released before; a release never changes")
    new = next_release(version, _schemas(), before)
    with (root / RELEASED).open("a", encoding="utf-8") as file:
        file.write(new.line())
    if as_json:
        print_json({"directory": str(root), "release": version, "schemas": sorted(new.schemas)})
    else:
        print_line(f"{root / RELEASED} now has {version}, with {len(new.schemas)} schemas that are new in it")


def _refuse(root: Path, differing: list[str], broken: list[str]) -> None:
    if differing:
        raise Failed(f"{root} differs from the record classes in {_named(differing)}; run `clawx schemas export`")
    if broken:
        raise Failed(f"a changed meaning is a new type name: {'; '.join(broken)}")


def _named(names: list[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def broken_schemas(root: Path) -> list[str]:
    """Why the record classes are not FULL_TRANSITIVE with what was released; nothing before the first release."""
    from services.records.releases import broken_promises, read_releases

    return list(broken_promises(_schemas(), read_releases(root)))


def compare_schemas(root: Path) -> Iterator[str]:
    """Names of the files that are missing, different or too many."""
    wanted = _texts()
    found = {f"{path.parent.name}/{path.name}": path.read_text() for path in sorted(root.glob("*/*.avsc"))}
    yield from sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write_schemas(root: Path) -> Iterator[str]:
    """Make the files what the record classes say; names of those that had to change."""
    wanted = _texts()
    for name in list(compare_schemas(root)):
        path = root / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name])
        else:
            path.unlink()
        yield name


def _schemas() -> dict[str, Any]:
    from bus.codec import schemas
    from services.records import LANGUAGE

    return schemas(LANGUAGE)


def _texts() -> dict[str, str]:
    return {
        f"{name}.avsc": json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in _schemas().items()
    }
