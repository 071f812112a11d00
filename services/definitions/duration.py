"""Lengths and points of time as people write them, and as whole milliseconds."""

from __future__ import annotations

import re
from datetime import datetime

DURATION_MS_MAX = 10 * 366 * 86_400_000
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def read_duration(text: str) -> int:
    """Return the milliseconds of a text such as `200ms`, `1.5s`, `2h`, `1d` or `1h30m`; raises ValueError."""
    stripped = text.strip()
    if not _WHOLE.fullmatch(stripped):
        raise ValueError(f"`{text}` is not a length of time")
    total = sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(stripped))
    if total > DURATION_MS_MAX:
        raise ValueError(f"`{text}` is longer than ten years")
    return round(total)


def write_duration(milliseconds: int) -> str:
    """Return the shortest text that `read_duration` reads as these milliseconds."""
    parts, rest = [], milliseconds
    for unit, size in sorted(_UNITS_MS.items(), key=lambda pair: -pair[1]):
        count, rest = divmod(rest, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0ms"


def read_time(text: str) -> int:
    """Return the milliseconds since 1970 of an ISO 8601 time with an offset from UTC; raises ValueError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"`{text}` is not a point of time") from error
    if moment.tzinfo is None:
        raise ValueError(f"`{text}` does not say its offset from UTC")
    return round(moment.timestamp() * 1_000)
