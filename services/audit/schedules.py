"""The schedules of a system as its records show them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from bus.record import Envelope, Record
from services.records.schedule import (
    ScheduleChanged,
    ScheduleCreated,
    ScheduledRunCancelled,
    ScheduledRunEnded,
    ScheduledRunQueued,
    ScheduledRunRequested,
    ScheduledRunSkipped,
)

SCHEDULED: tuple[type[Record], ...] = (
    ScheduleCreated,
    ScheduleChanged,
    ScheduledRunRequested,
    ScheduledRunQueued,
    ScheduledRunSkipped,
    ScheduledRunCancelled,
    ScheduledRunEnded,
)
"""What the list of schedules is folded from."""

STARTS_SHOWN_MAX = 20
"""So many of the latest starts of a schedule are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A schedule as it is now."""

    made: ScheduleCreated
    made_ms: int
    status: str = "active"
    next_due_ms: int = 0
    starts: tuple[dict[str, Any], ...] = ()  # the latest ones: run_id, due_at, status, reason
    started: int = 0
    skipped: int = 0  # decisions to skip, each of one start or several

    @property
    def key(self) -> str:
        """Its name among those of all workspaces; names of schedules hold no slash."""
        return f"{self.made.schedule_id}/{self.made.workspace_id}"


def fold_schedules(envelopes: Iterable[Envelope]) -> dict[str, Planned]:
    """Every schedule that is not deleted, in the order of their making."""
    found: dict[str, Planned] = {}
    for envelope in envelopes:
        apply(found, envelope)
    return found


def apply(found: MutableMapping[str, Planned], envelope: Envelope) -> None:
    """Take one record in."""
    record = envelope.record
    if isinstance(record, ScheduleCreated):
        planned = Planned(made=record, made_ms=envelope.time_ms, next_due_ms=record.next_due_ms)
        found[planned.key] = planned
        return
    key = f"{record.schedule_id}/{record.workspace_id}"
    known = found.get(key)
    if known is None:
        return
    if isinstance(record, ScheduleChanged) and record.status == "deleted":
        del found[key]
        return
    found[key] = replace(_changed(known, record), next_due_ms=record.next_due_ms)


def _changed(known: Planned, record: Any) -> Planned:
    match record:
        case ScheduleChanged():
            return replace(known, status=record.status)
        case ScheduledRunRequested():
            start = {"run_id": record.run_id, "due_at": record.due_ms, "status": "started", "reason": None}
            return replace(_started(known, start), started=known.started + 1)
        case ScheduledRunSkipped():
            start = {"run_id": None, "due_at": record.due_ms, "status": "skipped", "reason": record.reason}
            return replace(_started(known, start), skipped=known.skipped + 1)
        case ScheduledRunEnded():
            starts = [{**s, "status": record.status} if s["run_id"] == record.run_id else s for s in known.starts]
            return replace(known, starts=tuple(starts))
    return known


def _started(known: Planned, start: dict[str, Any]) -> Planned:
    return replace(known, starts=(*known.starts, start)[-STARTS_SHOWN_MAX:])


def describe(planned: Planned) -> dict[str, Any]:
    """One line of `schedules list --json`."""
    made, table = planned.made, planned.made.timetable
    return {
        "schedule_id": made.schedule_id,
        "workspace_id": made.workspace_id,
        "workflow_id": made.start.workflow_id,
        "status": planned.status,
        "cron": table.cron or None,
        "every_ms": table.every_ms or None,
        "time_zone": table.time_zone,
        "overlap": table.overlap,
        "catch_up": table.catch_up,
        "catch_up_window_ms": table.catch_up_window_ms,
        "catch_up_max": table.catch_up_max,
        "next_due_at": planned.next_due_ms or None,
        "started": planned.started,
        "skipped": planned.skipped,
        "starts": list(planned.starts),
        "created_at": planned.made_ms,
        "created_by": made.actor or None,
    }
