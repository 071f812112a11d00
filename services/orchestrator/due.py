"""When a schedule is due: whole seconds since 1970, from a cron expression in a time zone or from an interval.

Daylight saving follows Debian's cron: a fixed time that a day has not is made up for right after the gap, one that a
day has twice is taken once; with a `*` in the hours every hour counts that there really is.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from services.records.schedule import CATCH_UPS, OVERLAPS, Timetable

EVERY_MS_MIN = 1_000
"""Shortest interval."""

EVERY_MS_MAX = 366 * 24 * 3_600_000
"""Longest interval."""

CATCH_UP_WINDOW_MS_MAX = 366 * 24 * 3_600_000
"""Longest time after which what was missed is made up for."""

CATCH_UP_MAX = 100
"""Most missed starts that are made up for."""

CRON_LENGTH_MAX = 200
"""Characters of a cron expression."""


class TimetableInvalid(ValueError):
    """A timetable that is none; the text is a sentence for whoever wrote it."""


def check_timetable(table: Timetable) -> None:
    """Raises TimetableInvalid."""
    if bool(table.cron) == bool(table.every_ms):
        raise TimetableInvalid("a schedule has either a cron expression or an interval")
    if table.overlap not in OVERLAPS:
        raise TimetableInvalid(f"overlap is one of {', '.join(OVERLAPS)}, not {table.overlap[:40]!r}")
    if table.catch_up not in CATCH_UPS:
        raise TimetableInvalid(f"catch_up is one of {', '.join(CATCH_UPS)}, not {table.catch_up[:40]!r}")
    if not 0 <= table.catch_up_window_ms <= CATCH_UP_WINDOW_MS_MAX:
        raise TimetableInvalid(f"catch_up_window is {CATCH_UP_WINDOW_MS_MAX} ms at most")
    if not 1 <= table.catch_up_max <= CATCH_UP_MAX:
        raise TimetableInvalid(f"catch_up_max is from 1 to {CATCH_UP_MAX}, not {table.catch_up_max}")
    _zone(table.time_zone)
    if table.every_ms and not EVERY_MS_MIN <= table.every_ms <= EVERY_MS_MAX:
        raise TimetableInvalid(f"an interval is from {EVERY_MS_MIN} to {EVERY_MS_MAX} ms, not {table.every_ms}")
    if table.cron:
        _check_cron(table.cron)


def _check_cron(cron: str) -> None:
    if len(cron) > CRON_LENGTH_MAX or len(cron.split()) != 5:
        raise TimetableInvalid(
            f"the cron expression {cron[:80]!r} must have five fields: minute, hour, day of month, month, day of week"
        )
    try:
        next(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise TimetableInvalid(f"the cron expression {cron!r} cannot be read: {str(error).lower()}") from error
    except StopIteration as error:
        raise TimetableInvalid(f"the cron expression {cron!r} is never due") from error


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimetableInvalid(f"there is no time zone {name[:80]!r}; write one such as Europe/Berlin") from error


def next_due(table: Timetable, since_ms: int, after_ms: int) -> int:
    """The first time due after this one, of a schedule made at `since_ms`; 0 if it is never due again."""
    if table.every_ms:
        return since_ms + (max(0, after_ms - since_ms) // table.every_ms + 1) * table.every_ms
    moments = CronSim(table.cron, datetime.fromtimestamp(after_ms // 1000, _zone(table.time_zone)))
    for moment in moments:
        if (due_ms := round(moment.timestamp()) * 1000) > after_ms:
            return due_ms
    return 0


def last_dues(table: Timetable, since_ms: int, first_ms: int, until_ms: int, count: int) -> list[int]:
    """The latest times due from `first_ms`, which is one, until `until_ms`: so many at most, the earliest first."""
    if table.every_ms:
        last = until_ms - (until_ms - since_ms) % table.every_ms
        earliest = max(first_ms, last - (count - 1) * table.every_ms)
        return list(range(earliest, last + 1, table.every_ms))
    found: list[int] = []
    start = datetime.fromtimestamp(until_ms // 1000 + 1, _zone(table.time_zone))
    for moment in CronSim(table.cron, start, reverse=True):
        due_ms = round(moment.timestamp()) * 1000
        if due_ms < first_ms or len(found) == count:
            break
        if due_ms <= until_ms and (not found or due_ms < found[-1]):
            found.append(due_ms)
    return found[::-1] or [first_ms]
