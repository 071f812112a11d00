"""The contents that archived records name: found in their bytes, copied beside them, and put back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bus.blobs import BlobStore, DirectoryBlobs
from bus.errors import BlobMissing
from bus.log import Stored

FOLDER = "blobs"

READ_BYTES_MAX = 1024 * 1024
"""Contents up to this size are searched for the digests of others: a definition names those that it uses."""

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")


class NamedBlobs:
    """The digests that stand in some bytes."""

    def __init__(self) -> None:
        self.digests: set[str] = set()

    def note(self, records: Sequence[Stored]) -> None:
        """Take in what these records name."""
        for stored in records:
            self.digests.update(_find(stored.value))


def _find(content: bytes) -> set[str]:
    return {found.decode() for found in _DIGEST.findall(content)}


async def copy_named(digests: set[str], blobs: BlobStore, directory: Path) -> tuple[list[str], list[str]]:
    """Copy these contents and all that they name into an archive; gives those copied, and those that the store lacks.

    Small contents stand in the records themselves and need not be in the store.
    """
    target = DirectoryBlobs(directory / FOLDER)
    copied: set[str] = set()
    lacking: set[str] = set()
    waiting = sorted(digests)
    while waiting:
        digest = waiting.pop()
        if digest in copied or digest in lacking:
            continue
        try:
            await _copy(digest, blobs, target)
        except BlobMissing:
            lacking.add(digest)
            continue
        copied.add(digest)
        if await target.size(digest) <= READ_BYTES_MAX:
            waiting += sorted(_find(await target.get(digest)))
    return sorted(copied), sorted(lacking)


async def _copy(digest: str, blobs: BlobStore, target: DirectoryBlobs) -> None:
    path = target.path(digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        await blobs.get_file(digest, path)


async def put_back(digests: Sequence[str], directory: Path, blobs: BlobStore) -> None:
    """Put archived contents into a store. Raises BlobMissing and BlobCorrupt for what the archive has not kept well."""
    source = DirectoryBlobs(directory / FOLDER)
    for digest in digests:
        await source.get(digest)  # checked before it is offered under its name
        await blobs.put_file(source.path(digest))
