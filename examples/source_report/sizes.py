"""How much there is: lines by language and by area, files and functions by length."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

File = dict[str, Any]
Statistics = dict[str, Any]

FUNCTION_LINES_LIMIT = 50  # beyond it a function no longer fits a screen
ROWS_MAX = 10
LANGUAGES_MAX = 12
AREAS_WANTED = 3
AREA_DEPTH_MAX = 4
_LINES = ("lines", "code", "comment", "blank")
_FUNCTION_STEPS = (5, 10, 20, 30, 50, 100)
_FILE_STEPS = (10, 50, 100, 200, 400, 800)
_TEST_PARTS = frozenset({"test", "tests", "spec", "specs", "__tests__", "testing"})


def sum_lines(files: Iterable[File]) -> dict[str, int]:
    totals = dict.fromkeys(("files", *_LINES), 0)
    for file in files:
        totals["files"] += 1
        for name in _LINES:
            totals[name] += file[name]
    return totals


def find_share(part: float, whole: float) -> int:
    """In whole percent."""
    return round(100 * part / whole) if whole else 0


def find_percentile(ordered: Sequence[int], percent: int) -> int:
    """The nearest rank: a value that really occurs."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0


def summarise_tree(metrics: dict[str, Any]) -> Statistics:
    files, binary, unread = metrics["files"], metrics["binary"], metrics["unread"]
    totals = sum_lines(files)
    return {
        **totals,
        "files": len(files) + len(binary) + len(unread),
        "text_files": len(files),
        "binary_files": len(binary),
        "unread_files": len(unread),
        "left_out_files": metrics["tree"]["left_out"],
        "foreign_files": sum(file["encoding"] == "unknown" for file in files),
        "bytes": sum(file["bytes"] for file in (*files, *binary, *unread)),
    }


def summarise_code(code: Sequence[File]) -> Statistics:
    totals = sum_lines(code)
    test_code = sum(file["code"] for file in code if is_test(file["path"]))
    return {
        **totals,
        "languages": len({file["language"] for file in code}),
        "comment_share": find_share(totals["comment"], totals["comment"] + totals["code"]),
        "test_code": test_code,
        "product_code": totals["code"] - test_code,
        "test_share": find_share(test_code, totals["code"]),
    }


def is_test(path: str) -> bool:
    parts = PurePosixPath(path.lower()).parts
    stem = parts[-1].split(".")[0]
    marked = (
        stem.startswith("test_") or stem.endswith(("_test", "_spec")) or ".test." in parts[-1] or ".spec." in parts[-1]
    )
    return marked or not _TEST_PARTS.isdisjoint(parts[:-1])


def group_files(files: Iterable[File], key: Callable[[File], str]) -> list[Statistics]:
    """The largest group first."""
    groups: dict[str, list[File]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    rows = [{"name": name, **sum_lines(group)} for name, group in groups.items()]
    return sorted(rows, key=lambda row: (-row["code"], row["name"]))


def list_languages(files: Sequence[File]) -> list[Statistics]:
    kinds = {file["language"]: file["kind"] for file in files}
    rows = group_files(files, lambda file: str(file["language"]))
    whole = sum(row["code"] for row in rows if kinds[row["name"]] == "code")
    for row in rows:
        row["kind"] = kinds[row["name"]]
        row["share"] = find_share(row["code"], whole) if row["kind"] == "code" else None
    return sorted(rows, key=lambda row: (row["kind"] != "code", -row["code"], row["name"]))[:LANGUAGES_MAX]


def list_areas(files: Sequence[File]) -> list[Statistics]:
    """The directories at the first depth where there are some: a tree may hold all it has below one."""
    rows: list[Statistics] = []
    for depth in range(1, AREA_DEPTH_MAX + 1):
        rows = group_files(files, lambda file, depth=depth: name_area(file["path"], depth))  # type: ignore[misc]
        if len(rows) >= AREAS_WANTED:
            break
    return sorted(rows, key=lambda row: (-row["lines"], row["name"]))


def name_area(path: str, depth: int) -> str:
    directories = PurePosixPath(path).parts[:-1]
    return "/".join(directories[:depth]) + "/" if directories else "top level"


def list_largest(code: Sequence[File]) -> list[Statistics]:
    ordered = sorted(code, key=lambda file: (-file["lines"], file["path"]))
    return [
        {**{name: file[name] for name in ("path", "language", "lines", "code")}, "functions": len(file["functions"])}
        for file in ordered[:ROWS_MAX]
    ]


def summarise_functions(code: Sequence[File]) -> Statistics:
    found = [{"path": file["path"], **function} for file in code for function in file["functions"]]
    found.sort(key=lambda function: (-function["lines"], function["path"], function["line"]))
    lengths = sorted(function["lines"] for function in found)
    over = sum(length > FUNCTION_LINES_LIMIT for length in lengths)
    return {
        "count": len(found),
        "median": find_percentile(lengths, 50),
        "p90": find_percentile(lengths, 90),
        "longest": lengths[-1] if lengths else 0,
        "limit": FUNCTION_LINES_LIMIT,
        "over_limit": over,
        "over_share": find_share(over, len(found)),
        "table": found[:ROWS_MAX],
        "bins": fill_bins(lengths, _FUNCTION_STEPS),
    }


def bin_files(code: Sequence[File]) -> list[Statistics]:
    return fill_bins([file["lines"] for file in code], _FILE_STEPS)


def fill_bins(values: Iterable[int], steps: Sequence[int]) -> list[Statistics]:
    firsts = (0, *(step + 1 for step in steps))
    bins: list[Statistics] = [
        {"label": f"{max(first, 1)}–{last}", "last": last, "count": 0}
        for first, last in zip(firsts, steps, strict=False)
    ]
    bins.append({"label": f"> {steps[-1]}", "last": None, "count": 0})
    for value in values:
        bins[sum(value > step for step in steps)]["count"] += 1
    return bins
