"""Which files make up a source tree: what git tracks or would track, else what lies there."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from git import GitUnavailable, ask_git

FILES_MAX = 20_000
LISTING_TIMEOUT_S = 10.0
# Made by tools from other files, or brought from elsewhere.
SKIPPED_DIRECTORIES = frozenset({".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Paths below the root, sorted; a name that is not UTF-8 is kept as the file system gives it."""

    paths: tuple[str, ...]
    listed_by: str  # git | walk
    left_out: int  # files beyond FILES_MAX


def list_files(root: Path) -> Listing:
    try:
        paths, listed_by = _ask_for_files(root), "git"
    except GitUnavailable:
        paths, listed_by = set(), "walk"
    if not paths:  # also a directory that a repository around it ignores
        paths, listed_by = set(_walk(root)), "walk"
    found = sorted(paths)
    return Listing(paths=tuple(found[:FILES_MAX]), listed_by=listed_by, left_out=max(0, len(found) - FILES_MAX))


def _ask_for_files(root: Path) -> set[str]:
    tracked = ask_git(root, "ls-files", "-z", "--cached", timeout_s=LISTING_TIMEOUT_S)
    others = ask_git(root, "ls-files", "-z", "--others", "--exclude-standard", timeout_s=LISTING_TIMEOUT_S)
    new = (path for path in _split(others) if SKIPPED_DIRECTORIES.isdisjoint(PurePosixPath(path).parts))
    return {path for path in (*_split(tracked), *new) if _is_plain_file(root / path)}


def _split(listing: bytes) -> list[str]:
    return [os.fsdecode(name) for name in listing.split(b"\0") if name]


def _walk(root: Path) -> Iterator[str]:
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in SKIPPED_DIRECTORIES]
        for file in files:
            path = Path(directory, file)
            if _is_plain_file(path):
                yield path.relative_to(root).as_posix()


def _is_plain_file(path: Path) -> bool:
    """A link would be counted twice or lead out of the tree; a pipe would never end."""
    return path.is_file() and not path.is_symlink()
