"""The analyst: means with their error, where the methods cross, and whether that is precise enough."""

import json
import math
from statistics import mean, stdev
from typing import Any


def analyse(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    design, measurements = json.loads(inputs["design"]), json.loads(inputs["measurements"])
    rows = [_row(length, design["methods"], measurements["counts"]) for length in design["lengths"]]
    worst = max(error / value for row in rows for value, error in row["figures"] if value)
    precise = worst <= design["precision"]
    repeats = measurements["repeats"]
    analysis = {
        "rows": rows,
        "crossing": _crossing(rows),
        "worst_error": round(worst, 4),
        "repeats": repeats,
        # The error falls with the root of the repeats; a little more, so that it is enough at once.
        "repeats_wanted": repeats if precise else math.ceil(repeats * (worst / design["precision"]) ** 2 * 1.1),
    }
    return {"precise": precise, "worst_error": round(worst, 4)}, {"analysis": json.dumps(analysis)}


def _row(length: int, methods: list[str], counts: dict[str, dict[str, list[int]]]) -> dict[str, Any]:
    figures = []
    for name in methods:
        values = counts[name][str(length)]
        figures.append((round(mean(values), 2), round(stdev(values) / math.sqrt(len(values)), 3)))
    return {"length": length, "figures": figures}


def _crossing(rows: list[dict[str, Any]]) -> int | None:
    """The first length from which on the second method needs fewer for good; None if it never does."""
    crossing = None
    for row in reversed(rows):
        (first, _), (second, _) = row["figures"]
        if second >= first:
            break
        crossing = row["length"]
    return crossing
