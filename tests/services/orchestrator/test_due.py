"""When schedules are due: whole times in their zone, forwards as backwards, over every change of the clocks."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.orchestrator.due import TimetableInvalid, check_timetable, last_dues, next_due
from services.records.schedule import Timetable

CRONS = (
    "* * * * *",
    "*/10 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "15 3 * * 0",
    "0 9 * * MON-FRI",
    "0 0 1 * *",
    "5 */4 * * *",
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Kathmandu")
MOMENTS_MS = st.integers(1_735_689_600_000, 1_830_297_600_000)
"""Of three years."""

SINCE_MS = 1_700_000_000_123


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def times(cron: str, zone: str, start: str, count: int) -> list[str]:
    """The next times due, as a clock in the zone shows them."""
    table, now_ms, found = Timetable(cron=cron, time_zone=zone), at(start), []
    for _ in range(count):
        now_ms = next_due(table, 0, now_ms)
        found.append(datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).strftime("%m-%d %H:%M"))
    return found


def test_a_time_of_day_is_meant_in_its_zone() -> None:
    assert times("0 9 * * MON-FRI", "Asia/Shanghai", "2026-01-02T00:00+00:00", 3) == [
        "01-02 09:00",
        "01-05 09:00",
        "01-06 09:00",
    ]


def test_a_time_that_a_day_has_not_is_made_up_for_and_one_that_it_has_twice_is_taken_once() -> None:
    spring = times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", 2)
    assert spring[0].startswith("03-29 03:")
    assert spring[1] == "03-30 02:30"
    assert times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+02:00", 2) == ["10-25 02:30", "10-26 02:30"]


def test_every_hour_that_there_really_is_counts() -> None:
    assert len(set(times("0 * * * *", "Europe/Berlin", "2026-10-25T01:30+02:00", 4))) == 3
    assert times("0 * * * *", "Europe/Berlin", "2026-03-29T01:30+01:00", 2) == ["03-29 03:00", "03-29 04:00"]


def test_an_interval_counts_from_the_making_and_never_drifts() -> None:
    table = Timetable(every_ms=600_000)
    assert next_due(table, SINCE_MS, SINCE_MS) == SINCE_MS + 600_000
    assert next_due(table, SINCE_MS, SINCE_MS + 600_000) == SINCE_MS + 1_200_000
    assert next_due(table, SINCE_MS, SINCE_MS + 1_199_999) == SINCE_MS + 1_200_000
    assert last_dues(table, SINCE_MS, SINCE_MS + 600_000, SINCE_MS + 2_500_000, 2) == [
        SINCE_MS + 1_800_000,
        SINCE_MS + 2_400_000,
    ]


@for_all(st.sampled_from(CRONS), st.sampled_from(ZONES), MOMENTS_MS)
def test_times_backwards_are_those_forwards(cron: str, zone: str, now_ms: int) -> None:
    table = Timetable(cron=cron, time_zone=zone)
    first_ms = due_ms = next_due(table, 0, now_ms)
    forwards = []
    for _ in range(5):
        forwards.append(due_ms)
        following_ms = next_due(table, 0, due_ms)
        assert following_ms > due_ms
        due_ms = following_ms
    assert last_dues(table, 0, first_ms, forwards[-1], 5) == forwards
    assert last_dues(table, 0, first_ms, due_ms - 1, 2) == forwards[-2:]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (Timetable(), "either a cron expression or an interval"),
        (Timetable(cron="* * * * *", every_ms=1000), "either a cron expression or an interval"),
        (Timetable(cron="* * * *"), "five fields"),
        (Timetable(cron="* * * * * *"), "five fields"),
        (Timetable(cron="61 * * * *"), "bad minute"),
        (Timetable(cron="0 0 31 2 *"), "bad day-of-month"),
        (Timetable(cron="0 0 * * *", time_zone="Mars/Olympus"), "no time zone 'Mars/Olympus'"),
        (Timetable(cron="0 0 * * *", time_zone="../etc/passwd"), "no time zone"),
        (Timetable(every_ms=999), "an interval is from"),
        (Timetable(every_ms=1000, overlap="perhaps"), "overlap is one of"),
        (Timetable(every_ms=1000, catch_up="perhaps"), "catch_up is one of"),
        (Timetable(every_ms=1000, catch_up_max=0), "catch_up_max"),
        (Timetable(every_ms=1000, catch_up_window_ms=-1), "catch_up_window"),
    ],
)
def test_what_is_no_timetable_is_told_in_a_sentence(table: Timetable, words: str) -> None:
    with pytest.raises(TimetableInvalid, match=words):
        check_timetable(table)


def test_the_zone_of_universal_time_is_the_default() -> None:
    midnight = Timetable(cron="0 0 * * *")
    check_timetable(midnight)
    assert next_due(midnight, 0, at("2026-01-01T12:00+00:00")) == at("2026-01-02T00:00+00:00")
