"""`clawx schemas`: the Avro schemas of the language, as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from services.cli.failure import Failed
from services.cli.option import Json

app = typer.Typer(help="The Avro schemas of the records.", no_args_is_help=True)

Directory = Annotated[
    Path | None, typer.Argument(metavar="DIRECTORY", help="Where they are; by default schemas/ of the source tree.")
]

NAMED_MAX = 5
"""How many files a sentence names."""


@app.command()
def export(directory: Directory = None, as_json: Json = False) -> None:
    """Write CHANNEL/TYPE.avsc for every record type, and remove those of types that are gone."""
    from services.cli.terminal import print_json, print_line

    root = directory or schema_directory()
    changed = list(write_schemas(root))
    if as_json:
        print_json({"directory": str(root), "changed": changed})
    else:
        print_line(f"{root}: " + (", ".join(changed) if changed else "nothing to change"))


@app.command()
def check(directory: Directory = None, as_json: Json = False) -> None:
    """Compare the files with the record classes; exit code 1 if they differ."""
    from services.cli.terminal import print_json, print_line

    root = directory or schema_directory()
    differing = list(compare_schemas(root))
    if as_json:
        print_json({"directory": str(root), "differing": differing})
    if differing:
        named = ", ".join(differing[:NAMED_MAX]) + (
            f" and {more} more" if (more := len(differing) - NAMED_MAX) > 0 else ""
        )
        raise Failed(f"{root} differs from the record classes in {named}; run `clawx schemas export`")
    if not as_json:
        print_line(f"{root} is what the record classes say")


def schema_directory() -> Path:
    """Where the schemas are: beside the packages in a source tree, inside them in an install."""
    import services.records

    packages = Path(services.records.__file__).parents[2]
    installed = packages / "services" / "records" / "schemas"
    return installed if installed.is_dir() else packages / "schemas"


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


def _texts() -> dict[str, str]:
    from bus.codec import schemas
    from services.records import LANGUAGE

    return {
        f"{name}.avsc": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas(LANGUAGE).items()
    }
