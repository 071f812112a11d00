"""Each time due is started or skipped exactly once; overlaps and missed starts are treated as the timetable says."""

from __future__ import annotations

from typing import Any

import pytest

from bus.testing import NOW_MS, given
from services.orchestrator import schedules
from services.orchestrator.schedules import SCHEDULES
from services.records.content import Content
from services.records.schedule import (
    ScheduleCreated,
    ScheduledRunQueued,
    ScheduledRunRequested,
    ScheduledRunSkipped,
    ScheduleRefused,
)
from services.records.task import RunRefused
from tests.services.orchestrator.schedule_cases import (
    START,
    cancelled,
    change,
    changed,
    due,
    ended,
    made,
    noted,
    order,
    queued,
    requested,
    run_id,
    skipped,
)


def test_a_schedule_is_made_and_due_after_its_interval() -> None:
    made(every_ms=60_000).then(
        ScheduleCreated(
            workspace_id="w",
            schedule_id="nightly",
            ask_id="making",
            actor="pat",
            timetable=order().timetable,
            start=START,
            next_due_ms=due(1),
        )
    )


def test_a_cron_expression_is_due_in_its_zone() -> None:
    told = made(every_ms=0, cron="0 9 * * *", time_zone="Asia/Shanghai")
    # NOW_MS is 2023-11-14 22:13:20 UTC, which is 06:13 of the next day in Shanghai.
    assert told.state.schedules["nightly/w"].next_due_ms - NOW_MS == (2 * 3600 + 46 * 60 + 40) * 1000


def test_it_starts_a_run_each_time_it_is_due_under_an_id_that_follows() -> None:
    told = made(overlap="allow").when_deadline().then(requested(1, 2))
    told.when_deadline().then(requested(2, 3))
    assert run_id(1) != run_id(2)


def test_while_a_run_is_under_way_the_next_start_is_skipped() -> None:
    told = made().when_deadline().when_deadline()
    told.then(skipped(2, due(2) + 1, 3, f"{run_id(1)} is still under way"))
    told.when(ended(1)).then(noted(1, 3)).when_deadline().then(requested(3, 4))


def test_or_queued_until_it_has_ended_in_the_order_of_their_times() -> None:
    told = made(overlap="queue").when_deadline().when_deadline().then(queued(2, 3)).when_deadline().then(queued(3, 4))
    told.when(ended(1)).then(noted(1, 4), requested(2, 4))
    told.when(ended(2, "failed")).then(noted(2, 4, "failed"), requested(3, 4))
    told.when(ended(3)).then(noted(3, 4))


def test_or_the_run_is_cancelled_for_it() -> None:
    told = made(overlap="cancel_running").when_deadline().when_deadline()
    told.then(cancelled(1, 2), queued(2, 3))
    told.when_deadline()
    told.then(skipped(2, due(2) + 1, 3, "a later start took its place"), queued(3, 4))
    told.when(ended(1, "cancelled")).then(noted(1, 4, "cancelled"), requested(3, 4))


def test_a_run_that_was_refused_has_ended() -> None:
    told = made().when_deadline()
    refusal = RunRefused(workspace_id="w", run_id=run_id(1), ask_id="x", reason="no definition")
    told.when(refusal).then(noted(1, 2, "refused")).when_deadline().then(requested(2, 3))


@pytest.mark.parametrize(
    ("table", "minutes", "expected"),
    [
        ({"catch_up": "one"}, 10, [(1, 10), 10]),
        ({"catch_up": "skip"}, 10, [(1, 9), 9, 10]),
        ({"catch_up": "all"}, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"catch_up": "all", "catch_up_max": 3}, 10, [(1, 8), 8, 9, 10]),
        ({"catch_up": "all", "catch_up_window_ms": 240_000}, 10, [(1, 6), 6, 7, 8, 9, 10]),
        ({"catch_up": "one"}, 1, [1]),
    ],
)
def test_what_was_missed_is_made_up_for_as_it_says(table: dict[str, Any], minutes: int, expected: list[Any]) -> None:
    """Nobody decided until `minutes` after the making; a pair is a range that was skipped."""
    told, found = made(overlap="allow", **table).at(due(minutes)), []
    while told.state.schedules["nightly/w"].next_due_ms <= due(minutes):
        for fact in told.when_deadline().facts:
            minute = (fact.due_ms - NOW_MS) // 60_000  # type: ignore[attr-defined]
            is_range = isinstance(fact, ScheduledRunSkipped)
            found.append((minute, (fact.until_ms - NOW_MS) // 60_000) if is_range else minute)  # type: ignore[attr-defined]
    assert found == expected


def test_after_a_long_time_nothing_is_counted_through() -> None:
    year = 365 * 24 * 60
    told = made(every_ms=0, cron="* * * * *", catch_up="one").at(due(year)).when_deadline()
    told.then_types(ScheduledRunSkipped, ScheduledRunRequested)
    told = made(catch_up="skip").at(due(year)).when_deadline()
    told.then_types(ScheduledRunSkipped, ScheduledRunRequested)
    told = made(every_ms=0, cron="0 0 1 1 *", catch_up="skip").at(due(year)).when_deadline()
    told.then_types(ScheduledRunSkipped)


def test_a_paused_schedule_starts_nothing_and_says_so_when_it_is_resumed() -> None:
    told = made(overlap="queue").when_deadline().when_deadline().when(change("pause"), record_id="p")
    told.then(skipped(2, due(2) + 1, 3, "the schedule was paused"), changed("paused", "p", 0))
    assert not told.state.deadlines.times
    told.when(ended(1)).then(noted(1, -NOW_MS // 60_000).model_copy(update={"next_due_ms": 0}))
    told.at(due(7) + 1).when(change("resume"), record_id="r")
    paused = skipped(3, due(8), 0, "the schedule was paused").model_copy(update={"next_due_ms": 0})
    told.then(paused, changed("active", "r", due(8)))
    told.when_deadline().then(requested(8, 9))


@pytest.mark.parametrize(("what", "status"), [("pause", "paused"), ("delete", "deleted")])
def test_what_was_due_before_a_pause_or_an_end_that_came_first_is_skipped(what: str, status: str) -> None:
    told = made().at(due(3) + 7).when(change(what), record_id="c")
    told.then(skipped(1, due(3) + 8, 4, f"the schedule was {status}"), changed(status, "c", 0))


def test_a_resumed_schedule_that_missed_nothing_says_nothing() -> None:
    told = made().when(change("pause"), record_id="p").when(change("resume"), record_id="r")
    told.then(changed("active", "r", due(1)))


def test_a_deleted_schedule_is_gone_and_its_runs_go_on() -> None:
    told = made().when_deadline().when(change("delete"), record_id="d").then(changed("deleted", "d", 0))
    assert (len(told.state.schedules), len(told.state.by_run), len(told.state.deadlines)) == (0, 0, 0)
    told.when(ended(1)).then()
    told.when(change("pause")).then_types(ScheduleRefused)
    told.when(order(), record_id="anew").then_types(ScheduleCreated)


def test_a_trigger_starts_at_once_beside_the_timetable_and_as_overlaps_are_treated() -> None:
    told = made().at(NOW_MS + 5).when(change("trigger"), record_id="t")
    told.then_types(ScheduledRunRequested)
    fact = told.facts[0]
    assert isinstance(fact, ScheduledRunRequested)
    assert (fact.due_ms, fact.ask_id, fact.next_due_ms, fact.run_id) == (NOW_MS + 5, "t", due(1), run_id("t"))
    told.when(change("trigger"), record_id="t").then()
    told.when(change("trigger"), record_id="u").then_types(ScheduledRunSkipped)
    told = made(overlap="queue").when_deadline().when(change("trigger"), record_id="t").then_types(ScheduledRunQueued)
    told.when(ended(1))
    assert isinstance(told.facts[1], ScheduledRunRequested)
    assert told.facts[1].run_id == run_id("t")
    assert not told.state.schedules["nightly/w"].queue


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (order(), "has a schedule nightly already"),
        (order().model_copy(update={"schedule_id": "a/b"}), "a schedule's name"),
        (order(cron="x", every_ms=0).model_copy(update={"schedule_id": "b"}), "five fields"),
        (change("pause", schedule_id="unknown"), "has no schedule unknown"),
        (change("pause", workspace_id="v"), "has no schedule nightly"),
        (change("resume"), "is active: it cannot be told to resume"),
        (change("paint"), "is active: it cannot be told to paint"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(asked: Any, words: str) -> None:
    told = made().when(asked, record_id="wrong").then_types(ScheduleRefused)
    assert words in told.facts[0].reason  # type: ignore[attr-defined]
    told.when(asked, record_id="wrong").then()


def test_inputs_that_are_too_large_are_refused() -> None:
    data = b"x" * (schedules.INPUTS_BYTES_MAX + 1)
    start = START.model_copy(update={"inputs": (Content(name="q", digest="d", size=len(data), inline=data),)})
    told = given(SCHEDULES).when(order().model_copy(update={"start": start})).then_types(ScheduleRefused)
    assert "bytes of inputs" in told.facts[0].reason  # type: ignore[attr-defined]


def test_limits_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "RUNNING_MAX", 1)
    monkeypatch.setattr(schedules, "QUEUE_STARTS_MAX", 1)
    told = made(overlap="allow").when_deadline().when_deadline().then_types(ScheduledRunSkipped)
    assert "1 runs of the schedule are under way" in told.facts[0].reason  # type: ignore[attr-defined]
    told = made(overlap="queue").when_deadline().when_deadline().when_deadline().then_types(ScheduledRunSkipped)
    assert "1 starts of the schedule wait" in told.facts[0].reason  # type: ignore[attr-defined]
    monkeypatch.setattr(schedules, "SCHEDULES_MAX", 1)
    told = made().when(order().model_copy(update={"schedule_id": "other"})).then_types(ScheduleRefused)


def test_the_same_ask_twice_makes_one_schedule() -> None:
    made().when(order(), record_id="making").then()
