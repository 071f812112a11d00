"""Whatever happens when, and whoever was away how long: each time due is started, queued or skipped exactly once."""

from __future__ import annotations

from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st

from bus.record import Fact
from bus.testing import NOW_MS
from services.orchestrator.due import next_due
from services.records.schedule import (
    CATCH_UPS,
    OVERLAPS,
    ScheduledRunQueued,
    ScheduledRunRequested,
    ScheduledRunSkipped,
)
from services.records.task import RunEnded
from tests.services.orchestrator.schedule_cases import MINUTE_MS, change, made

TABLES = st.fixed_dictionaries(
    {
        "overlap": st.sampled_from(OVERLAPS),
        "catch_up": st.sampled_from(CATCH_UPS),
        "catch_up_max": st.integers(1, 4),
        "catch_up_window_ms": st.sampled_from((0, 10 * MINUTE_MS, 24 * 60 * MINUTE_MS)),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 20 * MINUTE_MS)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("pause")),
        st.tuples(st.just("resume")),
        st.tuples(st.just("trigger")),
    ),
    max_size=30,
)


class Story:
    """A schedule that is told all sorts of things, and what it said of its times."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.told = made(**table)
        self.table = self.schedule.made.timetable
        self.said: list[Fact] = []
        self.live: list[str] = []

    @property
    def schedule(self) -> Any:
        return self.told.state.schedules["nightly/w"]

    def step(self, number: int, what: str, *how: int) -> None:
        match what, how:
            case "wait", (ms,):
                self.told.at(self.told.now_ms + ms)
                while self.schedule.next_due_ms and self.schedule.next_due_ms <= self.told.now_ms:
                    self._note(self.told.when_deadline().facts)
            case "end", (index,) if self.live:
                run_id = self.live.pop(index % len(self.live))
                self._note(self.told.when(RunEnded(workspace_id="w", run_id=run_id, status="completed")).facts)
            case (("pause" | "resume" | "trigger"), ()):
                self._note(self.told.when(change(what), record_id=f"{what}-{number}").facts)

    def _note(self, facts: list[Fact]) -> None:
        self.said += facts
        self.live += [fact.run_id for fact in facts if isinstance(fact, ScheduledRunRequested)]
        assert self.table.overlap == "allow" or len(self.live) <= 1, "two runs at once"
        assert sorted(self.live) == sorted(self.schedule.running)

    def fates(self, due_ms: int) -> list[str]:
        """What was said of a time: how often it was started, and in how many ranges that were skipped it lies."""
        found = []
        for fact in self.said:
            if getattr(fact, "ask_id", ""):
                continue
            if isinstance(fact, ScheduledRunRequested) and fact.due_ms == due_ms:
                found.append("started")
            elif isinstance(fact, ScheduledRunSkipped) and fact.due_ms <= due_ms < fact.until_ms:
                found.append("skipped")
        return found


@for_all(TABLES, STEPS)
def test_each_time_due_has_one_fate(table: dict[str, Any], steps: list[tuple[Any, ...]]) -> None:
    story = Story(table)
    for number, step in enumerate(steps):
        story.step(number, *step)
    story.step(-1, "resume")
    while story.live:
        story.step(-2, "end", 0)
    triggers = {fact.ask_id for fact in story.said if isinstance(fact, ScheduledRunQueued) and fact.ask_id}
    due_ms = next_due(story.table, NOW_MS, NOW_MS)
    while due_ms <= story.told.now_ms:
        assert len(story.fates(due_ms)) == 1, f"{due_ms - NOW_MS}: {story.fates(due_ms)}"
        due_ms = next_due(story.table, NOW_MS, due_ms)
    answered = {
        getattr(f, "ask_id", "") for f in story.said if isinstance(f, ScheduledRunRequested | ScheduledRunSkipped)
    }
    assert triggers <= answered, "what was queued by a trigger is started or skipped"
