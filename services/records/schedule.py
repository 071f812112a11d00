"""Schedules on the TaskChannel: what people ask of them, and the facts of orchestrator.schedules."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Record, Value, derive_id
from services.records.content import Content

OVERLAPS = ("allow", "skip", "queue", "cancel_running")
"""What becomes of a start that is due while a run of the schedule is under way."""

CATCH_UPS = ("one", "skip", "all")
"""What becomes of starts that were missed: the latest is made up for, none, or all up to a limit."""


class Start(Value):
    """What a schedule starts: as in an ask for a run."""

    workflow_id: str
    definition: str  # digest
    inputs: tuple[Content, ...] = ()
    professions: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


class Timetable(Value):
    """When a schedule is due, and what becomes of starts that overlap or were missed."""

    cron: str = ""  # minute, hour, day of month, month, day of week
    every_ms: int = 0  # instead of it, counted from the schedule's making
    time_zone: str = "UTC"
    overlap: str = "skip"
    catch_up: str = "one"
    catch_up_window_ms: int = 24 * 3_600_000  # what was missed longer ago is skipped
    catch_up_max: int = 10  # of `all`


class ScheduleCreateRequested(Ask, channel="task", scope="schedules:write"):
    """Make a schedule. The definition is canonical JSON in the blob store."""

    workspace_id: str
    schedule_id: str
    timetable: Timetable
    start: Start


class ScheduleChangeRequested(Ask, channel="task", scope="schedules:write"):
    """Pause a schedule, resume it, delete it, or trigger a start now."""

    workspace_id: str
    schedule_id: str
    change: str  # pause, resume, delete, trigger
    reason: str = ""


# Facts of orchestrator.schedules. `next_due_ms` is when the schedule is due next from there on; 0 for never.


class ScheduleCreated(Fact, channel="task"):
    """A schedule exists from here on."""

    workspace_id: str
    schedule_id: str
    ask_id: str
    actor: str = ""
    timetable: Timetable
    start: Start
    next_due_ms: int


class ScheduleRefused(Fact, channel="task"):
    """The ask about a schedule led to nothing, with the reason in a sentence."""

    workspace_id: str
    schedule_id: str
    ask_id: str
    reason: str


class ScheduleChanged(Fact, channel="task"):
    """A schedule is paused, active again, or deleted; its runs go on."""

    workspace_id: str
    schedule_id: str
    ask_id: str
    status: str  # active, paused, deleted
    reason: str = ""
    next_due_ms: int


class ScheduledRunRequested(Fact, channel="task"):
    """Asks orchestrator.runs for the run that was due at `due_ms`. Its id follows from the schedule and that time."""

    workspace_id: str
    schedule_id: str
    start_id: str
    run_id: str
    due_ms: int
    ask_id: str = ""  # of a trigger
    actor: str = ""
    start: Start
    next_due_ms: int


class ScheduledRunQueued(Fact, channel="task"):
    """A start waits until the run under way has ended."""

    workspace_id: str
    schedule_id: str
    due_ms: int
    ask_id: str = ""
    next_due_ms: int


class ScheduledRunSkipped(Fact, channel="task"):
    """All starts that were due from `due_ms` on and before `until_ms` are not made, and why."""

    workspace_id: str
    schedule_id: str
    due_ms: int
    until_ms: int
    ask_id: str = ""
    reason: str
    next_due_ms: int


class ScheduledRunCancelled(Fact, channel="task"):
    """Asks orchestrator.runs to end a run, because the next one is due."""

    workspace_id: str
    schedule_id: str
    run_id: str
    actor: str = ""
    reason: str
    next_due_ms: int


class ScheduledRunEnded(Fact, channel="task"):
    """A run of a schedule has ended, or was refused."""

    workspace_id: str
    schedule_id: str
    run_id: str
    status: str
    next_due_ms: int


def start_id_of(creation_id: str, due: int | str) -> str:
    """Id of the start that a schedule, made by this ask, makes at this time or for this trigger; the run's follows."""
    return derive_id("schedule", creation_id, due)


RECORDS: tuple[type[Record], ...] = (
    ScheduleCreateRequested,
    ScheduleChangeRequested,
    ScheduleCreated,
    ScheduleRefused,
    ScheduleChanged,
    ScheduledRunRequested,
    ScheduledRunQueued,
    ScheduledRunSkipped,
    ScheduledRunCancelled,
    ScheduledRunEnded,
)
