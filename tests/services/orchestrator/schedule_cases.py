"""A schedule `nightly` of workspace `w` that is due every minute, and what is said about it."""

from __future__ import annotations

from typing import Any

from bus.testing import NOW_MS, Scenario, given
from services.orchestrator.schedules import SCHEDULES
from services.orchestrator.schedules_state import Schedules
from services.records.schedule import (
    ScheduleChanged,
    ScheduleChangeRequested,
    ScheduleCreateRequested,
    ScheduledRunCancelled,
    ScheduledRunEnded,
    ScheduledRunQueued,
    ScheduledRunRequested,
    ScheduledRunSkipped,
    Start,
    Timetable,
    start_id_of,
)
from services.records.task import RunEnded, run_id_of

MINUTE_MS = 60_000
START = Start(workflow_id="report", definition="sha256:d", tags={"team": "red"})
WHERE = {"workspace_id": "w", "schedule_id": "nightly"}


def order(**table: Any) -> ScheduleCreateRequested:
    return ScheduleCreateRequested(
        workspace_id="w",
        schedule_id="nightly",
        actor="pat",
        timetable=Timetable(**{"every_ms": MINUTE_MS, **table}),
        start=START,
    )


def made(**table: Any) -> Scenario[Schedules]:
    """The schedule right after its making, at NOW_MS."""
    return given(SCHEDULES).when(order(**table), record_id="making")


def due(minute: int) -> int:
    return NOW_MS + minute * MINUTE_MS


def run_id(minute: int | str) -> str:
    return run_id_of(start_id_of("making", due(minute) if isinstance(minute, int) else minute))


def requested(minute: int, following: int) -> ScheduledRunRequested:
    return ScheduledRunRequested(
        **WHERE,
        start_id=start_id_of("making", due(minute)),
        run_id=run_id(minute),
        due_ms=due(minute),
        actor="pat",
        start=START,
        next_due_ms=due(following),
    )


def skipped(minute: int, until_ms: int, following: int, reason: str) -> ScheduledRunSkipped:
    return ScheduledRunSkipped(
        **WHERE, due_ms=due(minute), until_ms=until_ms, reason=reason, next_due_ms=due(following)
    )


def queued(minute: int, following: int) -> ScheduledRunQueued:
    return ScheduledRunQueued(**WHERE, due_ms=due(minute), next_due_ms=due(following))


def cancelled(minute: int, following: int) -> ScheduledRunCancelled:
    return ScheduledRunCancelled(
        **WHERE,
        run_id=run_id(minute),
        actor="pat",
        reason="the next run of the schedule nightly is due",
        next_due_ms=due(following),
    )


def noted(minute: int, following: int, status: str = "completed") -> ScheduledRunEnded:
    return ScheduledRunEnded(**WHERE, run_id=run_id(minute), status=status, next_due_ms=due(following))


def ended(minute: int | str, status: str = "completed") -> RunEnded:
    return RunEnded(workspace_id="w", run_id=run_id(minute), status=status)


def change(what: str, **fields: Any) -> ScheduleChangeRequested:
    return ScheduleChangeRequested(**{**WHERE, "change": what, **fields})


def changed(status: str, ask_id: str, next_due_ms: int) -> ScheduleChanged:
    return ScheduleChanged(**WHERE, ask_id=ask_id, status=status, next_due_ms=next_due_ms)
