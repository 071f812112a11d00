"""The schedules of a partition, as folded from their own facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from immutables import Map

from bus.deadline import Deadlines
from bus.errors import UnknownRecordType
from bus.record import Fact
from bus.seen import Seen
from services.records.schedule import (
    ScheduleChanged,
    ScheduleCreated,
    ScheduledRunCancelled,
    ScheduledRunEnded,
    ScheduledRunQueued,
    ScheduledRunRequested,
    ScheduledRunSkipped,
    ScheduleRefused,
)

ACTIVE, PAUSED, DELETED = "active", "paused", "deleted"


class Waiting(NamedTuple):
    """A start that waits for the run under way."""

    due_ms: int
    ask_id: str


class Schedule(NamedTuple):
    """One schedule, what of it is under way, and what waits for that."""

    made: ScheduleCreated
    since_ms: int
    status: str = ACTIVE
    next_due_ms: int = 0
    unseen_ms: int = 0  # of a paused one, the first time due that nothing was said about
    running: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()  # of those
    queue: tuple[Waiting, ...] = ()


class Schedules(NamedTuple):
    """A partition."""

    schedules: Map[str, Schedule] = Map()
    by_run: Map[str, str] = Map()  # the schedule of a run that is under way
    seen: Seen = Seen()  # asks that were answered
    deadlines: Deadlines = Deadlines()  # by schedule


def name_of(workspace_id: str, schedule_id: str) -> str:
    """The name of a schedule in the state; ids hold no slash."""
    return f"{schedule_id}/{workspace_id}"


def evolve(state: Schedules, fact: Fact, time_ms: int) -> Schedules:
    """The schedules after one of their facts."""
    fold = FOLDS.get(type(fact))
    if fold is None:
        raise UnknownRecordType(f"orchestrator.schedules cannot fold a {type(fact).__name__}")
    ask_id = getattr(fact, "ask_id", "")
    state = state._replace(seen=state.seen.add(ask_id, time_ms)) if ask_id else state
    return fold(state, fact, time_ms)


def _fold_created(state: Schedules, fact: ScheduleCreated, time_ms: int) -> Schedules:
    return _kept(state, fact, Schedule(fact, time_ms))


def _fold_refused(state: Schedules, fact: ScheduleRefused, time_ms: int) -> Schedules:
    return state


def _fold_changed(state: Schedules, fact: ScheduleChanged, time_ms: int) -> Schedules:
    name = name_of(fact.workspace_id, fact.schedule_id)
    before = state.schedules[name]
    if fact.status == DELETED:
        by_run = state.by_run
        for run_id in before.running:
            by_run = by_run.delete(run_id)
        return state._replace(
            schedules=state.schedules.delete(name), by_run=by_run, deadlines=state.deadlines.clear(name)
        )
    unseen_ms = before.next_due_ms if fact.status == PAUSED else 0
    return _kept(state, fact, before._replace(status=fact.status, unseen_ms=unseen_ms))


def _fold_requested(state: Schedules, fact: ScheduledRunRequested, time_ms: int) -> Schedules:
    before = _of(state, fact)
    queue = tuple(each for each in before.queue if (each.due_ms, each.ask_id) != (fact.due_ms, fact.ask_id))
    after = before._replace(running=(*before.running, fact.run_id), queue=queue)
    by_run = state.by_run.set(fact.run_id, name_of(fact.workspace_id, fact.schedule_id))
    return _kept(state._replace(by_run=by_run), fact, after)


def _fold_queued(state: Schedules, fact: ScheduledRunQueued, time_ms: int) -> Schedules:
    before = _of(state, fact)
    return _kept(state, fact, before._replace(queue=(*before.queue, Waiting(fact.due_ms, fact.ask_id))))


def _fold_skipped(state: Schedules, fact: ScheduledRunSkipped, time_ms: int) -> Schedules:
    """One that waited may be skipped after all."""
    before = _of(state, fact)
    queue = tuple(each for each in before.queue if (each.due_ms, each.ask_id) != (fact.due_ms, fact.ask_id))
    return _kept(state, fact, before._replace(queue=queue))


def _fold_cancelled(state: Schedules, fact: ScheduledRunCancelled, time_ms: int) -> Schedules:
    before = _of(state, fact)
    return _kept(state, fact, before._replace(cancelled=(*before.cancelled, fact.run_id)))


def _fold_ended(state: Schedules, fact: ScheduledRunEnded, time_ms: int) -> Schedules:
    before = _of(state, fact)
    after = before._replace(
        running=tuple(each for each in before.running if each != fact.run_id),
        cancelled=tuple(each for each in before.cancelled if each != fact.run_id),
    )
    return _kept(state._replace(by_run=state.by_run.delete(fact.run_id)), fact, after)


def _of(state: Schedules, fact: Any) -> Schedule:
    return state.schedules[name_of(fact.workspace_id, fact.schedule_id)]


def _kept(state: Schedules, fact: Any, schedule: Schedule) -> Schedules:
    """With a schedule that is due as the fact says."""
    name = name_of(fact.workspace_id, fact.schedule_id)
    at_ms = fact.next_due_ms
    deadlines = state.deadlines.set(name, at_ms) if at_ms else state.deadlines.clear(name)
    kept = schedule._replace(next_due_ms=at_ms)
    return state._replace(schedules=state.schedules.set(name, kept), deadlines=deadlines)


FOLDS: Mapping[type[Fact], Callable[[Schedules, Any, int], Schedules]] = {
    ScheduleCreated: _fold_created,
    ScheduleRefused: _fold_refused,
    ScheduleChanged: _fold_changed,
    ScheduledRunRequested: _fold_requested,
    ScheduledRunQueued: _fold_queued,
    ScheduledRunSkipped: _fold_skipped,
    ScheduledRunCancelled: _fold_cancelled,
    ScheduledRunEnded: _fold_ended,
}
