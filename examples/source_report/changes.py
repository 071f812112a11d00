"""How the tree came to be: its pace, its authors, and where size and change meet."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sizes import ROWS_MAX, File, find_share

Statistics = dict[str, Any]

HOUR_S = 3600
DAY_S = 24 * HOUR_S
RECENT_MAX = 5
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The longest span in days that is shown by this unit: some forty bars at most.
_UNITS = ((2, "hour"), (40, "day"), (300, "week"), (1_500, "month"), (4_000, "quarter"))


def summarise_history(history: dict[str, Any]) -> Statistics:
    commits: list[dict[str, Any]] = history["commits"]
    flags = {name: history[name] for name in ("reason", "truncated", "shallow", "uncommitted")}
    if not commits:
        return {**flags, "reason": history["reason"] or "no commit touches the tree", "commits": 0, "authors": 0}
    times = sorted(commit["time"] for commit in commits)
    days = {_day(time) for time in times}
    return {
        **flags,
        "commits": len(commits),
        "head": commits[0]["id"][:8],
        "first_day": min(days),
        "last_day": max(days),
        "days": (_date(times[-1]).date() - _date(times[0]).date()).days + 1,
        "active_days": len(days),
        "added": sum(commit["added"] for commit in commits),
        "deleted": sum(commit["deleted"] for commit in commits),
        **_summarise_authors(commits),
        **_summarise_pace(times),
        "recent": [_describe(commit) for commit in commits[:RECENT_MAX]],
    }


def _describe(commit: dict[str, Any]) -> Statistics:
    return {
        "id": commit["id"][:8],
        "day": _day(commit["time"]),
        "author": commit["author"],
        "subject": commit["subject"],
    }


def _summarise_authors(commits: Sequence[dict[str, Any]]) -> Statistics:
    counts = Counter(commit["author"] for commit in commits)
    changed: Counter[str] = Counter()
    for commit in commits:
        changed[commit["author"]] += commit["added"] + commit["deleted"]
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    table = [
        {"name": name, "commits": count, "share": find_share(count, len(commits)), "changed": changed[name]}
        for name, count in ranked[:ROWS_MAX]
    ]
    return {"authors": len(counts), "author_table": table, "half_of_commits_authors": _count_to_half(ranked)}


def _count_to_half(ranked: Sequence[tuple[str, int]]) -> int:
    """How few people made half of the commits."""
    half = sum(count for _, count in ranked) / 2
    reached = 0
    for number, (_, count) in enumerate(ranked, start=1):
        reached += count
        if reached >= half:
            return number
    return 0


def _summarise_pace(times: Sequence[int]) -> Statistics:
    span_days = (times[-1] - times[0]) / DAY_S
    unit = next((unit for limit, unit in _UNITS if span_days <= limit), "year")
    number, label = _CALENDARS[unit]
    counts = Counter(number(_date(time)) for time in times)
    bins: list[Statistics] = [
        {"label": label(index), "count": counts[index]} for index in range(min(counts), max(counts) + 1)
    ]
    busiest = max(bins, key=lambda entry: int(entry["count"]))
    return {"unit": unit, "bins": bins, "busiest": busiest}


def find_hot_spots(code: Sequence[File], churn: dict[str, dict[str, Any]]) -> list[Statistics]:
    """Size times change: a big file that often changes costs more to understand than either alone.

    The commit that brought a file is no change of it, so files that were never touched again have no heat.
    """
    spots = [_measure_spot(file, churn[file["path"]]) for file in code if file["path"] in churn and file["code"]]
    spots.sort(key=lambda spot: (-spot["heat"], -spot["code"], spot["path"]))
    hottest = spots[0]["heat"] if spots else 0
    return [{**spot, "heat": find_share(spot["heat"], hottest)} for spot in spots]


def _measure_spot(file: File, churn: dict[str, Any]) -> Statistics:
    return {
        "path": file["path"],
        "code": file["code"],
        "commits": churn["commits"],
        "changed": churn["added"] + churn["deleted"],
        "authors": len(churn["authors"]),
        "heat": file["code"] * (churn["commits"] - 1),
    }


def _date(time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def _day(time: int) -> str:
    return _date(time).date().isoformat()


def _show_day(date: datetime) -> str:
    return f"{date.day} {MONTHS[date.month - 1]}"


def _at(seconds: int) -> datetime:
    return _date(0) + timedelta(seconds=seconds)


# For each unit: the number of the bar in which a date falls, and the label of the bar with a number.
_CALENDARS: dict[str, tuple[Callable[[datetime], int], Callable[[int], str]]] = {
    "hour": (lambda date: int(date.timestamp()) // HOUR_S, lambda bar: f"{_at(bar * HOUR_S).hour}:00"),
    "day": (lambda date: int(date.timestamp()) // DAY_S, lambda bar: _show_day(_at(bar * DAY_S))),
    # The first of January 1970 was a Thursday: three days on, weeks begin on Mondays.
    "week": (
        lambda date: (int(date.timestamp()) // DAY_S + 3) // 7,
        lambda bar: _show_day(_at((bar * 7 - 3) * DAY_S)),
    ),
    "month": (lambda date: date.year * 12 + date.month - 1, lambda bar: f"{MONTHS[bar % 12]} {bar // 12}"),
    "quarter": (lambda date: date.year * 4 + (date.month - 1) // 3, lambda bar: f"{bar // 4} Q{bar % 4 + 1}"),
    "year": (lambda date: date.year, str),
}
