"""The schemas of released versions: with them the records of a release stay readable, and changes are held to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bus.avro import Schema
from bus.compatibility import full_transitive
from bus.errors import Refused

RELEASED = "RELEASED"
"""Name of the file beside the schemas: a line of JSON for each release with all schemas that were new in it."""


class Release(NamedTuple):
    """A version, and what it brought: schemas by CHANNEL/TYPE."""

    version: str
    schemas: Mapping[str, Schema]

    def line(self) -> str:
        """As it stands in the file."""
        return json.dumps({"release": self.version, "schemas": dict(self.schemas)}, ensure_ascii=False) + "\n"


def schema_directory() -> Path:
    """Where the schemas are: beside the packages in a source tree, inside them in an install."""
    here = Path(__file__).parent
    installed = here / "schemas"
    return installed if installed.is_dir() else here.parents[1] / "schemas"


def read_releases(directory: Path) -> tuple[Release, ...]:
    """All releases, the oldest first; none before the first was declared. Raises Refused for a file that is none."""
    path = directory / RELEASED
    if not path.is_file():
        return ()
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return tuple([Release(str(line["release"]), dict(line["schemas"])) for line in lines])
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise Refused(f"{path} is no list of releases: {error}") from error


def older_schemas() -> Iterator[Schema]:
    """Every schema with which a released version wrote records."""
    for release in read_releases(schema_directory()):
        yield from release.schemas.values()


def next_release(version: str, today: Mapping[str, Schema], before: tuple[Release, ...]) -> Release:
    """What a version brings beyond those before it."""
    latest = {name: schema for release in before for name, schema in release.schemas.items()}
    return Release(version, {name: schema for name, schema in today.items() if latest.get(name) != schema})


def broken_promises(today: Mapping[str, Schema], releases: tuple[Release, ...]) -> Iterator[str]:
    """Why today's schemas are not FULL_TRANSITIVE with all that was released, in sentences."""
    older: dict[str, list[tuple[str, Schema]]] = {}
    for release in releases:
        for name, schema in release.schemas.items():
            older.setdefault(name, []).append((release.version, schema))
    for name, versions in sorted(older.items()):
        if name not in today:
            yield f"{name} was released in {versions[0][0]} and is gone; what was released must stay readable"
        else:
            yield from (f"{name} as of {reason}" for reason in full_transitive(today[name], versions))
