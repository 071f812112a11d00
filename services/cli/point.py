"""A place in a log as a person writes it: an offset, or a time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from services.cli.failure import Wrong

if TYPE_CHECKING:
    from services.audit.rehearsal import Point


def read_point(text: str) -> Point:
    """`120` is an offset; `2026-03-01T12:00:00Z` is a time, of this place where it names none; so is `…ms` of 1970."""
    from services.audit.rehearsal import Point

    if text.isdecimal():
        return Point(offset=int(text))
    if text.endswith("ms") and text[:-2].isdecimal():
        return Point(time_ms=int(text[:-2]))
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Wrong(f"{text!r} is no offset and no time; right would be 120 or 2026-03-01T12:00:00Z") from error
    return Point(time_ms=round(at.timestamp() * 1000))
