"""The engineer: repairs what can be repaired without guessing, and sorts out the rest with a reason."""

import csv
import io
import re
import statistics
import sys
from datetime import date
from typing import Any

COLUMNS = ["week", "branch", "visitors", "loans"]
OUTLIER_FACTOR = 5  # beyond so many medians of its branch a count is a slip of the pen
BRANCH_WEEKS_MIN = 2  # a branch seen once is a misspelt one
Row = dict[str, str]


class TableUnreadable(Exception):
    """What the table lacks, for whoever sent it."""


class _Rejected(Exception):
    """Why a row is sorted out."""


def clean(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    raw = read_table(inputs["visits"])
    kept: list[Row] = []
    rejects: list[Row] = []
    for number, row in enumerate(raw, start=2):
        try:
            kept.append({**repair(row), "line": str(number)})
        except _Rejected as reason:
            rejects.append({"line": str(number), "reason": str(reason)})
    kept = sort_out(kept, rejects)
    if not kept:
        raise TableUnreadable(f"none of the {len(raw)} rows can be used; the first: {rejects[0]['reason']}")
    kept.sort(key=lambda row: (row["week"], row["branch"]))
    rejects.sort(key=lambda reject: int(reject["line"]))
    print(f"{len(kept)} of {len(raw)} rows kept", file=sys.stderr)
    outputs = {"table": write_table(kept, COLUMNS), "rejects": write_table(rejects, ["line", "reason"])}
    return {"rows": len(raw), "kept": len(kept), "rejected": len(rejects)}, outputs


def read_table(text: str) -> list[Row]:
    reader = csv.DictReader(io.StringIO(text), restval="")
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise TableUnreadable(f"the table lacks the columns {', '.join(missing)}")
    rows = list(reader)
    if not rows:
        raise TableUnreadable("the table has no rows")
    return rows


def repair(row: Row) -> Row:
    """Spelling of branches, two ways to write a day, marks between thousands."""
    return {
        "week": _read_day(row["week"].strip()),
        "branch": row["branch"].strip().title(),
        "visitors": _read_count(row["visitors"], "visitors"),
        "loans": _read_count(row["loans"], "loans"),
    }


def _read_day(text: str) -> str:
    german = re.fullmatch(r"(\d{2})\.(\d{2})\.(\d{4})", text)
    try:
        return date.fromisoformat(f"{german[3]}-{german[2]}-{german[1]}" if german else text).isoformat()
    except ValueError as error:
        raise _Rejected("week is not a day") from error


def _read_count(text: str, column: str) -> str:
    digits = re.sub(r"(?<=\d)[ ,'](?=\d{3}\b)", "", text.strip())
    if not re.fullmatch(r"\d+", digits):
        raise _Rejected(f"{column} is {'missing' if digits in ('', 'n/a') else 'not a count'}")
    return digits


def sort_out(rows: list[Row], rejects: list[Row]) -> list[Row]:
    """What only the whole table can show: doubles, branches that do not exist, counts out of all proportion."""
    medians = {branch: _find_median(rows, branch) for branch in {row["branch"] for row in rows}}
    weeks = {branch: sum(row["branch"] == branch for row in rows) for branch in medians}
    seen: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        key = row["week"], row["branch"]
        if key in seen:
            rejects.append({"line": row["line"], "reason": "week and branch were there before"})
        elif weeks[row["branch"]] < BRANCH_WEEKS_MIN:
            rejects.append({"line": row["line"], "reason": "branch is known from this row only"})
        elif int(row["visitors"]) > OUTLIER_FACTOR * medians[row["branch"]]:
            rejects.append({"line": row["line"], "reason": "visitors are out of all proportion"})
        else:
            seen.add(key)
            kept.append(row)
    return kept


def _find_median(rows: list[Row], branch: str) -> float:
    return statistics.median(int(row["visitors"]) for row in rows if row["branch"] == branch)


def write_table(rows: list[Row], columns: list[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
