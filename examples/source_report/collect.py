"""The data engineer of the source report: reads a tree and its history, hands on the metrics of every file."""

import json
import os
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from envelope import CannotWork, Result, Task, perform, report_progress
from git import GitUnavailable
from history import History, read_history
from source import is_binary, measure_source
from tree import Listing, list_files

FILE_BYTES_MAX = 2 * 1024 * 1024
PROGRESS_EVERY_FILES = 200


def collect(task: Task) -> Result:
    root = open_tree(os.fsdecode(task.read_bytes("tree")))
    listing = list_files(root)
    report_progress(f"{len(listing.paths)} files in {root.name}, listed by {listing.listed_by}")
    metrics: dict[str, Any] = {"tree": describe_tree(root, listing), **read_files(root, listing.paths)}
    metrics["history"] = describe_history(root)
    task.write_json("metrics", metrics)
    lines = sum(file["lines"] for file in metrics["files"])
    commits = len(metrics["history"]["commits"])
    report_progress(f"{lines} lines and {commits} commits read")
    return {"files": len(listing.paths), "lines": lines, "commits": commits}


def open_tree(text: str) -> Path:
    root = Path(text.rstrip("\n"))
    if not root.is_dir():
        found = "is a file" if root.is_file() else "does not exist"
        raise CannotWork(f"the tree must be a directory, but {show_path(text)} {found}")
    return root.resolve()


def describe_tree(root: Path, listing: Listing) -> dict[str, Any]:
    return {
        "name": find_name(root),
        "directory": show_path(root.name or "/"),
        "listed_by": listing.listed_by,
        "left_out": listing.left_out,
    }


def find_name(root: Path) -> str:
    """What the project calls itself, else how its directory is called."""
    try:
        if (root / "pyproject.toml").is_file():
            project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        elif (root / "package.json").is_file():
            project = json.loads((root / "package.json").read_text(encoding="utf-8"))
        else:
            project = {}
        name = project.get("name")
    except (OSError, ValueError, AttributeError) as error:
        report_progress(f"the project's own name cannot be read: {error}")
        name = None
    return name if isinstance(name, str) and name else show_path(root.name or "/")


def read_files(root: Path, paths: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"files": [], "binary": [], "unread": []}
    for number, path in enumerate(paths, start=1):
        kind, entry = read_file(root, path)
        found[kind].append({"path": show_path(path), **entry})
        if number % PROGRESS_EVERY_FILES == 0:
            report_progress(f"{number} of {len(paths)} files read")
    return found


def read_file(root: Path, path: str) -> tuple[str, dict[str, Any]]:
    try:
        size = (root / path).stat().st_size
        if size > FILE_BYTES_MAX:
            return "unread", {"bytes": size, "reason": f"larger than {FILE_BYTES_MAX // 1024 // 1024} MiB"}
        data = (root / path).read_bytes()
    except OSError as error:
        return "unread", {"bytes": 0, "reason": error.strerror or type(error).__name__}
    if is_binary(data):
        return "binary", {"bytes": size}
    return "files", {"bytes": size, **asdict(measure_source(path, data))}


def describe_history(root: Path) -> dict[str, Any]:
    try:
        return {"reason": None, **describe_commits(read_history(root))}
    except GitUnavailable as reason:
        report_progress(f"no history: {reason}")
        return {"reason": str(reason), **describe_commits(History())}


def describe_commits(history: History) -> dict[str, Any]:
    return {
        "commits": [asdict(commit) for commit in history.commits],
        "churn": {
            show_path(path): {**asdict(churn), "authors": sorted(churn.authors)}
            for path, churn in sorted(history.churn.items())
        },
        "truncated": history.truncated,
        "shallow": history.shallow,
        "uncommitted": history.uncommitted,
    }


def show_path(path: str) -> str:
    """A name whose bytes are not UTF-8 is shown with marks where they are not."""
    return os.fsencode(path).decode("utf-8", "replace")


if __name__ == "__main__":
    perform(collect)
