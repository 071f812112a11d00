"""The artifacts of a run as files that a person can open."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bus.client import Blobs
from services.cli.failure import Wrong
from services.cli.media_type import ending_of
from services.records.content import Artifact

_KEPT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
NAME_BYTES_MAX = 200


async def write_outputs(artifacts: Iterable[Artifact], blobs: Blobs, directory: Path) -> dict[str, str]:
    """Write each content into the directory and give the paths by name; raises Wrong where it cannot be written."""
    paths: dict[str, str] = {}
    for artifact in sorted(artifacts, key=lambda each: each.name):
        content = artifact.inline if artifact.inline is not None else await blobs.get(artifact.digest)
        path = directory / _free(file_name(artifact), {Path(taken).name for taken in paths.values()})
        _write(path, content)
        paths[artifact.name] = str(path)
    return paths


def file_name(artifact: Artifact) -> str:
    """A name that every file system takes, ending as the content's type does."""
    name = "".join(char if char in _KEPT or char.isalnum() else "_" for char in artifact.name).lstrip(".") or "_"
    while len(name.encode()) > NAME_BYTES_MAX:
        name = name[:-1]
    ending = ending_of(artifact.media_type)
    return name if not ending or name.lower().endswith(ending) else name + ending


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{Path(name).stem}-{number}{Path(name).suffix}", number + 1
    return free


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise Wrong(f"the output {path} cannot be written: {error.strerror}; give another place with --out") from error
