"""What git remembers of a tree: its commits, and how often and by whom each file was changed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from git import ask_git

COMMITS_MAX = 5_000
SUBJECT_CHARACTERS_MAX = 200
# Control characters part the fields: they cannot be typed by accident, and the last field may hold them anyway.
_FORMAT = "--format=%x01%H%x02%ct%x02%aN%x02%s"


@dataclass(slots=True, kw_only=True)
class Commit:
    id: str
    time: int  # seconds since 1970, of the committer
    author: str
    subject: str
    files: int = 0
    added: int = 0
    deleted: int = 0


@dataclass(slots=True, kw_only=True)
class Churn:
    """What happened to one file, under all the names that it had."""

    commits: int = 0
    added: int = 0
    deleted: int = 0
    authors: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    commits: tuple[Commit, ...] = ()  # the newest first
    churn: dict[str, Churn] = field(default_factory=dict)
    truncated: bool = False
    shallow: bool = False
    uncommitted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    path: str
    old_path: str
    added: int
    deleted: int


def read_history(root: Path) -> History:
    """Raises GitUnavailable where there is nothing to read."""
    shallow, prefix = ask_git(root, "rev-parse", "--is-shallow-repository", "--show-prefix").split(b"\n")[:2]
    within = ["--", "."] if prefix else []  # for a whole repository every commit counts, merges too
    log = ask_git(
        root, "log", "-z", "--numstat", "--relative", "--no-ext-diff", "--no-textconv", "--find-renames",
        f"--max-count={COMMITS_MAX}", _FORMAT, *within,
    )  # fmt: skip
    changed = ask_git(root, "status", "--porcelain=v1", "-z", "--no-renames", "--", ".")
    commits, churn = _fold(log)
    return History(
        commits=tuple(commits),
        churn=churn,
        truncated=len(commits) == COMMITS_MAX,
        shallow=shallow == b"true",
        uncommitted=sum(bool(entry) for entry in changed.split(b"\0")),
    )


def _fold(log: bytes) -> tuple[list[Commit], dict[str, Churn]]:
    commits: list[Commit] = []
    churn: dict[str, Churn] = {}
    present: dict[str, str] = {}  # from a former name to the one that the file has now
    for entry in _read_entries(log):
        if isinstance(entry, Commit):
            commits.append(entry)
            continue
        name = present.get(entry.path, entry.path)
        if entry.old_path:
            present[entry.old_path] = name
        _count(entry, commits[-1], churn.setdefault(name, Churn()))
    return commits, churn


def _count(change: _Change, commit: Commit, churn: Churn) -> None:
    commit.files += 1
    churn.commits += 1
    for counter in (commit, churn):
        counter.added += change.added
        counter.deleted += change.deleted
    churn.authors.add(commit.author)


def _read_entries(log: bytes) -> Iterator[Commit | _Change]:
    tokens = iter(log.split(b"\0"))
    for token in tokens:
        entry = token.lstrip(b"\n")
        if entry.startswith(b"\x01"):
            yield _read_commit(entry[1:].decode("utf-8", "replace"))
        elif entry:
            added, deleted, path = entry.split(b"\t", 2)
            old = b"" if path else next(tokens)
            path = path or next(tokens)
            yield _Change(path=os.fsdecode(path), old_path=os.fsdecode(old), added=_read(added), deleted=_read(deleted))


def _read_commit(line: str) -> Commit:
    commit_id, time, author, subject = line.split("\x02", 3)
    return Commit(id=commit_id, time=int(time), author=author, subject=subject[:SUBJECT_CHARACTERS_MAX])


def _read(text: bytes) -> int:
    return 0 if text == b"-" else int(text)  # git writes a dash for a binary file
