"""Each law finds the log that breaks it, and has nothing against one that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.system.laws import broken_laws, open_grants, open_work
from tests.system.raw_log import Line, RawLog

RUN: dict[str, Any] = {"run_id": "r", "workspace_id": "w"}
WORK: dict[str, Any] = {**RUN, "stage": "a", "execution": 1, "item": -1}
DONE: dict[str, Any] = {**WORK, "attempt_id": "t1", "task_id": "t", "result": "{}", "outputs": []}
RUNS, POOL = "orchestrator.runs", "allocator.pool"


NOWHERE: Any = None
"""These logs are told, not read."""


class Story:
    """A log in the making, on one partition of each channel."""

    def __init__(self) -> None:
        self.raw = RawLog({}, NOWHERE)
        self._seq: dict[str, int] = {}

    def say(self, type_: str, cause: str = "", *, role: str = "", channel: str = "task", **more: Any) -> str:
        """Add a record, a fact where it has a role; gives its position."""
        offset = self.raw.offsets[channel, 0]
        self.raw.offsets[channel, 0] = offset + 1
        fields: dict[str, Any] = {
            "kind": "fact" if role else "report",
            "id": f"{channel}{offset}",
            "epoch": 1,
            "seq": self._seq.setdefault(role, 0),
            "time_ms": offset,
            "counts": True,
        }
        body = {name: value for name, value in more.items() if name not in fields}
        fields |= {name: value for name, value in more.items() if name in fields}
        at = f"{channel}/0/{offset}"
        places: dict[str, Any] = {
            "at": at,
            "channel": channel,
            "number": 0,
            "offset": offset,
            "key": "w",
            "part": 0,
            "parts": 1,
        }
        line = Line(**places, type=type_, role=role, session="s", cause=cause, body=body, **fields)
        self._seq[role] += 1
        self.raw.lines.append(line)
        self.raw.by_at[at] = line
        self.raw.by_type[type_].append(line)
        return at


def told() -> Story:
    """A run of one stage, from the ask to the end."""
    story = Story()
    ask = story.say("RunRequested", kind="ask", id="ask")
    story.say("RunStarted", ask, role=RUNS, **RUN, ask_id="ask")
    story.say("TaskRequested", ask, role=RUNS, **RUN, task_id="t", attempt=1, attempt_id="t1", work=WORK)
    report = story.say("TaskCompleted", **DONE)
    story.say("StageCompleted", report, role=RUNS, **DONE)
    story.say("RunEnded", report, role=RUNS, **RUN)
    story.say("TasksSettled", report, role="router.roster", attempts=["t1"])
    return story


def test_a_good_log_breaks_no_law() -> None:
    raw = told().raw
    assert broken_laws(raw) == []
    assert open_work(raw) == []


def answer_twice(story: Story) -> None:
    story.say("RunRefused", "task/0/0", role=RUNS, run_id="other", ask_id="ask")


def apply_twice(story: Story) -> None:
    story.say("StageCompleted", "task/0/3", role=RUNS, **{**DONE, "execution": 2, "task_id": "t2"})


def apply_what_nobody_reported(story: Story) -> None:
    story.say("StageCompleted", "task/0/0", role=RUNS, **{**DONE, "attempt_id": "t9", "task_id": "t9", "execution": 9})


def report_twice(story: Story) -> None:
    story.say("TaskCompleted", **DONE)


def go_on_after_the_end(story: Story) -> None:
    story.say("StageEnded", "task/0/0", role=RUNS, **{**WORK, "stage": "b", "task_id": "", "outputs": []})


def go_back_in_time(story: Story) -> None:
    story.say("ResultRefused", "task/0/3", role=RUNS, **RUN, attempt_id="t1", time_ms=0)


def act_on_a_zombie(story: Story) -> None:
    zombie = story.say("StageEnded", "task/0/0", role=RUNS, **WORK, counts=False)
    story.say("ResultRefused", zombie, role=RUNS, **RUN, attempt_id="t1")


def name_a_cause_that_is_none(story: Story) -> None:
    story.say("ResultRefused", "task/0/99", role=RUNS, **RUN, attempt_id="t1")


def free_what_was_not_given(story: Story) -> None:
    story.say("CapacityFreed", role=POOL, channel="event", grant_id="g")


def raise_an_alarm_twice(story: Story) -> None:
    for _ in range(2):
        story.say("AlarmRaised", role="health.watch", channel="event", alarm_id="a", evidence="silent")


def make_an_id_twice(story: Story) -> None:
    story.say("ResultRefused", "task/0/0", role=RUNS, **RUN, attempt_id="t1", id="task5")


@pytest.mark.parametrize(
    ("crime", "law"),
    [
        (answer_twice, "I1"),
        (apply_twice, "I2"),
        (apply_what_nobody_reported, "I2"),
        (report_twice, "I2"),
        (go_on_after_the_end, "I3"),
        (go_back_in_time, "I4"),
        (act_on_a_zombie, "I5"),
        (name_a_cause_that_is_none, "I7"),
        (free_what_was_not_given, "I8"),
        (raise_an_alarm_twice, "I9"),
        (make_an_id_twice, "I11"),
    ],
)
def test_a_broken_law_is_found(crime: Callable[[Story], None], law: str) -> None:
    story = told()
    crime(story)
    assert law in {sentence.split()[0] for sentence in broken_laws(story.raw)}


def test_what_is_open_is_listed() -> None:
    story = told()
    story.say("RunRequested", kind="ask", id="late")
    story.say("CapacityGranted", role=POOL, channel="event", grant_id="g")
    assert open_work(story.raw) == ["ask RunRequested late has 0 answers"]
    assert open_grants(story.raw) == {"g"}
