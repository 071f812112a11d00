"""Lengths of time as Serverless Workflow writes them: fields by unit, or ISO 8601."""

from __future__ import annotations

import re
from typing import Any

from services.definitions.duration import write_duration
from services.definitions.foreign.translation import mapping

_UNITS_MS = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000, "milliseconds": 1}
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def read_after(timeout: Any) -> str:
    """The `after` of a timeout in our way of writing; empty for none, or for what is no length of time."""
    after = mapping(timeout).get("after")
    if isinstance(after, dict):
        total = sum(_UNITS_MS.get(unit, 0) * count for unit, count in after.items() if isinstance(count, int | float))
    else:
        found = _ISO.fullmatch(str(after or ""))
        days, hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
        total = days * 86_400_000 + hours * 3_600_000 + minutes * 60_000 + seconds * 1_000
    return write_duration(round(total)) if total else ""
