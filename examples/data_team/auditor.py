"""The auditor: says how much of the table is left, where it has holes, and what that means for the findings."""

import csv
import io
import json
import sys
from collections import Counter
from typing import Any

SHARE_TRUSTED_PERCENT = 90


def audit(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    table = list(csv.DictReader(io.StringIO(inputs["table"])))
    rejects = list(csv.DictReader(io.StringIO(inputs["rejects"])))
    reasons = Counter(reject["reason"] for reject in rejects)
    share = round(100 * len(table) / (len(table) + len(rejects)))
    quality = {
        "kept": len(table),
        "rejected": len(rejects),
        "share_percent": share,
        "trusted": share >= SHARE_TRUSTED_PERCENT,
        "reasons": [{"reason": reason, "rows": count} for reason, count in sorted(reasons.items(), key=_rank)],
        "holes": count_holes(table),
    }
    print(f"{share}% of the rows are usable", file=sys.stderr)
    return {"trusted": quality["trusted"], "share_percent": share}, {"quality": json.dumps(quality, indent=1)}


def _rank(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def count_holes(table: list[dict[str, str]]) -> int:
    """How many pairs of a week and a branch have no row."""
    weeks, branches = {row["week"] for row in table}, {row["branch"] for row in table}
    return len(weeks) * len(branches) - len(table)
