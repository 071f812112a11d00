"""The role orchestrator.schedules: runs that start by the clock, each due time exactly once started or skipped.

A start that is due while an earlier run is under way is made all the same, skipped, queued, or the earlier run is
cancelled for it. Starts that were missed, because nobody decided or the schedule was paused, are made up for as the
timetable says, one in a decision; those that are not are named as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.orchestrator.due import TimetableInvalid, check_timetable, last_dues, next_due
from services.orchestrator.schedules_state import (
    ACTIVE,
    DELETED,
    FOLDS,
    PAUSED,
    Schedule,
    Schedules,
    Waiting,
    evolve,
    name_of,
)
from services.records.permission import find_lack
from services.records.schedule import (
    ScheduleChanged,
    ScheduleChangeRequested,
    ScheduleCreated,
    ScheduleCreateRequested,
    ScheduledRunCancelled,
    ScheduledRunEnded,
    ScheduledRunQueued,
    ScheduledRunRequested,
    ScheduledRunSkipped,
    ScheduleRefused,
    start_id_of,
)
from services.records.task import RunEnded, RunRefused, run_id_of

SCHEDULES_MAX = 10_000
"""Most schedules of a partition."""

RUNNING_MAX = 100
"""Most runs of one schedule that are under way at once."""

QUEUE_STARTS_MAX = 100
"""Most starts of one schedule that wait for the run under way."""

INPUTS_BYTES_MAX = 128 * 1024
"""Most bytes of inputs that stand in a schedule itself; larger ones are named by digest."""

LATE_MS = 60_000
"""A start that is not later than this was not missed."""

REASON_LENGTH_MAX = 1_000
"""Characters of a reason that is repeated."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def decide(draft: Draft[Schedules], heard: Envelope) -> None:
    """Make, change, start, and note what has ended."""
    if isinstance(heard.record, DeadlineReached):
        _meet_deadline(draft, heard.record)
    elif decision := _DECISIONS.get(type(heard.record)):
        decision(draft, heard)


def _create(draft: Draft[Schedules], heard: Envelope) -> None:
    asked: ScheduleCreateRequested = heard.record
    if heard.id in draft.state.seen:
        return
    if reason := find_lack(asked) or _find_fault(draft.state, asked):
        _refuse(draft, asked, heard.id, reason)
        return
    draft.add(
        ScheduleCreated(
            workspace_id=asked.workspace_id,
            schedule_id=asked.schedule_id,
            ask_id=heard.id,
            actor=asked.actor,
            timetable=asked.timetable,
            start=asked.start,
            next_due_ms=next_due(asked.timetable, draft.now_ms, draft.now_ms),
        )
    )


def _find_fault(state: Schedules, asked: ScheduleCreateRequested) -> str:
    if not _ID.fullmatch(asked.schedule_id):
        return "a schedule's name has up to 100 letters, digits and _.- and starts with a letter or digit"
    if name_of(asked.workspace_id, asked.schedule_id) in state.schedules:
        return f"workspace `{asked.workspace_id}` has a schedule {asked.schedule_id} already"
    if len(state.schedules) >= SCHEDULES_MAX:
        return f"there are {SCHEDULES_MAX} schedules in this partition, which is the most"
    size = sum(len(content.inline or b"") for content in asked.start.inputs)
    if size > INPUTS_BYTES_MAX:
        return f"{size} bytes of inputs stand in the schedule, more than {INPUTS_BYTES_MAX}; name them by digest"
    try:
        check_timetable(asked.timetable)
    except TimetableInvalid as error:
        return str(error)
    return ""


def _change(draft: Draft[Schedules], heard: Envelope) -> None:
    asked: ScheduleChangeRequested = heard.record
    if heard.id in draft.state.seen:
        return
    schedule = draft.state.schedules.get(name_of(asked.workspace_id, asked.schedule_id))
    if lack := find_lack(asked):
        _refuse(draft, asked, heard.id, lack)
    elif schedule is None:
        _refuse(draft, asked, heard.id, f"workspace `{asked.workspace_id}` has no schedule {asked.schedule_id[:100]}")
    elif asked.change == "trigger":
        _start(draft, schedule, Waiting(draft.now_ms, heard.id), schedule.next_due_ms)
    elif status := _CHANGES.get((schedule.status, asked.change)):
        _set_status(draft, schedule, asked, heard.id, status)
    else:
        reason = f"the schedule {asked.schedule_id} is {schedule.status}: it cannot be told to {asked.change[:40]}"
        _refuse(draft, asked, heard.id, reason)


_CHANGES: Mapping[tuple[str, str], str] = {
    (ACTIVE, "pause"): PAUSED,
    (PAUSED, "resume"): ACTIVE,
    (ACTIVE, "delete"): DELETED,
    (PAUSED, "delete"): DELETED,
}


def _refuse(
    draft: Draft[Schedules], asked: ScheduleCreateRequested | ScheduleChangeRequested, ask_id: str, reason: str
) -> None:
    draft.add(
        ScheduleRefused(
            workspace_id=asked.workspace_id,
            schedule_id=asked.schedule_id[:100],
            ask_id=ask_id,
            reason=reason[:REASON_LENGTH_MAX],
        )
    )


def _set_status(
    draft: Draft[Schedules], schedule: Schedule, asked: ScheduleChangeRequested, ask_id: str, status: str
) -> None:
    table, since_ms, unseen_ms = schedule.made.timetable, schedule.since_ms, schedule.unseen_ms
    following = next_due(table, since_ms, draft.now_ms) if status == ACTIVE else 0
    if status == ACTIVE and unseen_ms and unseen_ms <= draft.now_ms:
        _skip(draft, schedule, unseen_ms, following or draft.now_ms + 1, "the schedule was paused", 0)
    if status in (PAUSED, DELETED):
        if schedule.next_due_ms and schedule.next_due_ms <= draft.now_ms:
            # Nobody decided when it was due, and from now on nobody will.
            later_ms = next_due(table, since_ms, draft.now_ms)
            _skip(draft, schedule, schedule.next_due_ms, draft.now_ms + 1, f"the schedule was {status}", later_ms)
            schedule = draft.state.schedules[name_of(asked.workspace_id, asked.schedule_id)]
        for waiting in schedule.queue:
            _drop(draft, schedule, waiting, f"the schedule was {status}")
    draft.add(
        ScheduleChanged(
            workspace_id=asked.workspace_id,
            schedule_id=asked.schedule_id,
            ask_id=ask_id,
            status=status,
            reason=asked.reason[:REASON_LENGTH_MAX],
            next_due_ms=following,
        )
    )


def _meet_deadline(draft: Draft[Schedules], reached: DeadlineReached) -> None:
    schedule = draft.state.schedules.get(reached.id)
    if schedule is None or not schedule.next_due_ms or schedule.next_due_ms > draft.now_ms:
        return
    table, since_ms, due_ms = schedule.made.timetable, schedule.since_ms, schedule.next_due_ms
    kept_ms = _find_kept(schedule, draft.now_ms)
    if kept_ms != due_ms:
        until_ms = kept_ms or next_due(table, since_ms, draft.now_ms)
        reason = f"it was missed, and what is missed is treated as `{table.catch_up}`"
        _skip(draft, schedule, due_ms, until_ms or draft.now_ms + 1, reason, until_ms)
    if kept_ms:
        _start(draft, schedule, Waiting(kept_ms, ""), next_due(table, since_ms, kept_ms))


def _find_kept(schedule: Schedule, now_ms: int) -> int:
    """Of the times due until now the first one that is to be started; 0 for none of them."""
    table, due_ms = schedule.made.timetable, schedule.next_due_ms
    most = {"one": 1, "all": table.catch_up_max}.get(table.catch_up, 0)
    if now_ms - due_ms <= LATE_MS and most != 1:
        return due_ms
    window_ms = max(table.catch_up_window_ms, LATE_MS) if most else LATE_MS
    earliest_ms = max(due_ms, next_due(table, schedule.since_ms, max(now_ms - window_ms, due_ms) - 1) or due_ms)
    if earliest_ms > now_ms or now_ms - earliest_ms > window_ms:
        return 0
    if not most:
        return earliest_ms
    return last_dues(table, schedule.since_ms, earliest_ms, now_ms, most)[0]


def _start(draft: Draft[Schedules], schedule: Schedule, wanted: Waiting, next_due_ms: int) -> None:
    """Start a run, or do what the timetable says where one is under way."""
    overlap, busy = schedule.made.timetable.overlap, len(schedule.running)
    if not busy or (overlap == "allow" and busy < RUNNING_MAX):
        _request(draft, schedule, wanted, next_due_ms)
    elif overlap == "queue" and len(schedule.queue) < QUEUE_STARTS_MAX:
        _enqueue(draft, schedule, wanted, next_due_ms)
    elif overlap == "cancel_running":
        for waiting in schedule.queue:
            _drop(draft, schedule, waiting, "a later start took its place")
        for run_id in schedule.running:
            if run_id not in schedule.cancelled:
                _cancel(draft, schedule, run_id)
        _enqueue(draft, schedule, wanted, next_due_ms)
    else:
        _drop(draft, schedule, wanted, _reason_to_skip(schedule), next_due_ms)


def _reason_to_skip(schedule: Schedule) -> str:
    match schedule.made.timetable.overlap:
        case "allow":
            return f"{RUNNING_MAX} runs of the schedule are under way, which is the most"
        case "queue":
            return f"{QUEUE_STARTS_MAX} starts of the schedule wait already, which is the most"
        case _:
            return f"{schedule.running[0]} is still under way"


def _request(draft: Draft[Schedules], schedule: Schedule, wanted: Waiting, next_due_ms: int) -> None:
    made = schedule.made
    start_id = start_id_of(made.ask_id, wanted.ask_id or wanted.due_ms)
    draft.add(
        ScheduledRunRequested(
            workspace_id=made.workspace_id,
            schedule_id=made.schedule_id,
            start_id=start_id,
            run_id=run_id_of(start_id),
            due_ms=wanted.due_ms,
            ask_id=wanted.ask_id,
            actor=made.actor,
            start=made.start,
            next_due_ms=next_due_ms,
        )
    )


def _enqueue(draft: Draft[Schedules], schedule: Schedule, wanted: Waiting, next_due_ms: int) -> None:
    draft.add(
        ScheduledRunQueued(
            workspace_id=schedule.made.workspace_id,
            schedule_id=schedule.made.schedule_id,
            due_ms=wanted.due_ms,
            ask_id=wanted.ask_id,
            next_due_ms=next_due_ms,
        )
    )


def _cancel(draft: Draft[Schedules], schedule: Schedule, run_id: str) -> None:
    made = schedule.made
    draft.add(
        ScheduledRunCancelled(
            workspace_id=made.workspace_id,
            schedule_id=made.schedule_id,
            run_id=run_id,
            actor=made.actor,
            reason=f"the next run of the schedule {made.schedule_id} is due",
            next_due_ms=schedule.next_due_ms,
        )
    )


def _skip(
    draft: Draft[Schedules],
    schedule: Schedule,
    due_ms: int,
    until_ms: int,
    reason: str,
    next_due_ms: int,
    ask_id: str = "",
) -> None:
    draft.add(
        ScheduledRunSkipped(
            workspace_id=schedule.made.workspace_id,
            schedule_id=schedule.made.schedule_id,
            due_ms=due_ms,
            until_ms=until_ms,
            ask_id=ask_id,
            reason=reason,
            next_due_ms=next_due_ms,
        )
    )


def _drop(
    draft: Draft[Schedules], schedule: Schedule, wanted: Waiting, reason: str, next_due_ms: int | None = None
) -> None:
    """Skip a single start."""
    following = schedule.next_due_ms if next_due_ms is None else next_due_ms
    _skip(draft, schedule, wanted.due_ms, wanted.due_ms + 1, reason, following, wanted.ask_id)


def _end(draft: Draft[Schedules], heard: Envelope) -> None:
    """A run has ended: the next start that waits is made."""
    ended: RunEnded | RunRefused = heard.record
    name = draft.state.by_run.get(ended.run_id)
    if name is None:
        return
    schedule = draft.state.schedules[name]
    draft.add(
        ScheduledRunEnded(
            workspace_id=schedule.made.workspace_id,
            schedule_id=schedule.made.schedule_id,
            run_id=ended.run_id,
            status=ended.status if isinstance(ended, RunEnded) else "refused",
            next_due_ms=schedule.next_due_ms,
        )
    )
    schedule = draft.state.schedules[name]
    if schedule.queue and not schedule.running:
        _request(draft, schedule, schedule.queue[0], schedule.next_due_ms)


_DECISIONS: Mapping[type[Record], Callable[[Draft[Schedules], Envelope], None]] = {
    ScheduleCreateRequested: _create,
    ScheduleChangeRequested: _change,
    RunEnded: _end,
    RunRefused: _end,
}

SCHEDULES: Role[Schedules] = Role(
    name="orchestrator.schedules",
    home="task",
    hears=frozenset(_DECISIONS),
    says=frozenset(FOLDS),
    initial=Schedules,
    decide=decide,
    evolve=evolve,
    deadlines=lambda state: state.deadlines,
)
