"""The analyst: totals, trends and the odd weeks of each branch, and a chart of all of them."""

import csv
import io
import json
import statistics
import sys
from collections import defaultdict
from datetime import date
from typing import Any

from chart import Line, draw_chart

Series = list[tuple[date, int, int]]  # week, visitors, loans


def analyse(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    series: dict[str, Series] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(inputs["table"])):
        series[row["branch"]].append((date.fromisoformat(row["week"]), int(row["visitors"]), int(row["loans"])))
    branches = [describe(name, sorted(weeks)) for name, weeks in sorted(series.items())]
    branches.sort(key=lambda branch: -int(branch["visitors"]))
    days = sorted(week for weeks in series.values() for week, _, _ in weeks)
    findings = {
        "branches": branches,
        "visitors": sum(branch["visitors"] for branch in branches),
        "loans": sum(branch["loans"] for branch in branches),
        "first_week": days[0].isoformat(),
        "last_week": days[-1].isoformat(),
    }
    lines = [
        Line(name=b["name"], points=[(week, count) for week, count, _ in sorted(series[b["name"]])]) for b in branches
    ]
    print(f"{len(branches)} branches analysed", file=sys.stderr)
    result = {"branches": len(branches), "visitors": findings["visitors"]}
    return result, {"findings": json.dumps(findings, indent=1), "chart": draw_chart("Visitors a week", lines)}


def describe(name: str, weeks: Series) -> dict[str, Any]:
    visitors, loans = [count for _, count, _ in weeks], [count for _, _, count in weeks]
    fullest = max(weeks, key=lambda week: week[1])
    return {
        "name": name,
        "weeks": len(weeks),
        "visitors": sum(visitors),
        "loans": sum(loans),
        "visitors_a_week": round(statistics.mean(visitors)),
        "loans_a_visitor": round(sum(loans) / sum(visitors), 2) if sum(visitors) else 0.0,
        "change_percent": find_change(weeks),
        "fullest_week": fullest[0].isoformat(),
        "fullest_visitors": fullest[1],
    }


def find_change(weeks: Series) -> int:
    """Over the whole time, along the straight line that fits best; 0 where there is no line."""
    days = [(week - weeks[0][0]).days for week, _, _ in weeks]
    if len(set(days)) < 2:
        return 0
    slope, start = statistics.linear_regression(days, [count for _, count, _ in weeks])
    return round(100 * slope * days[-1] / start) if start else 0
