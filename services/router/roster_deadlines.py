"""The deadlines of the roster: what they are called, and how each fact moves them."""

from collections.abc import Callable
from typing import Any

from bus.deadline import Deadlines
from bus.record import Fact
from services.records import task
from services.records.content import Work
from services.router.crew import Crew
from services.router.instance import GONE
from services.router.roster_state import Roster, Waiting

IDLE_MS = 60_000
"""How long an instance that was made on demand may have nothing to do, unless its warm pool says otherwise."""

NEED_MS = 60_000
"""How long the roster waits for the first word on an instance that it needs."""

AT_ONCE_MS = 1
"""From a decision that could not hold everything to the one that goes on."""

TIMEOUT, QUEUE, IDLE, NEED, LOSSES, ASSIGNMENTS = "timeout", "queue", "idle", "need", "losses", "assignments"


def name_of(kind: str, workspace_id: str, subject: str = "") -> str:
    return f"{kind}:{len(subject)}:{subject}:{workspace_id}"


def parts_of(name: str) -> tuple[str, str, str]:
    """Kind, workspace and subject of a deadline; workspace and subject may hold any characters."""
    kind, length, rest = name.split(":", 2)
    return kind, rest[int(length) + 1 :], rest[: int(length)]


def timed(deadlines: Deadlines, before: Roster, after: Roster, fact: Fact, time_ms: int) -> Deadlines:
    """The deadlines after this fact, which led from one roster to the other."""
    return _MOVES[type(fact)](deadlines, before, after, fact, time_ms)


def _assigned(deadlines: Deadlines, before: Roster, after: Roster, fact: task.TaskAssigned, time_ms: int) -> Deadlines:
    if fact.work.queue_timeout_ms > 0:
        deadlines = deadlines.clear(name_of(QUEUE, fact.workspace_id, fact.attempt_id))
    if fact.deadline_ms:
        deadlines = deadlines.set(name_of(TIMEOUT, fact.workspace_id, fact.attempt_id), fact.deadline_ms)
    deadlines = _idling(deadlines, fact.workspace_id, after, fact.work.profession, time_ms)
    waiting = before.attempts.get(fact.attempt_id)
    if isinstance(waiting, Waiting) and not waiting.work.profession:
        deadlines = _all_idling(deadlines, fact.workspace_id, after, waiting.work, time_ms)
    return deadlines


def _queued(deadlines: Deadlines, before: Roster, after: Roster, fact: task.TaskQueued, time_ms: int) -> Deadlines:
    name = name_of(QUEUE, fact.workspace_id, fact.attempt_id)
    if fact.work.queue_timeout_ms > 0 and name not in deadlines.times:  # one that was in doubt has waited since then
        deadlines = deadlines.set(name, time_ms + fact.work.queue_timeout_ms)
    return _all_idling(deadlines, fact.workspace_id, after, fact.work, time_ms)


def _doubted(deadlines: Deadlines, before: Roster, after: Roster, fact: task.TaskDoubted, time_ms: int) -> Deadlines:
    if fact.work.queue_timeout_ms > 0:
        name = name_of(QUEUE, fact.workspace_id, fact.attempt_id)
        deadlines = deadlines.set(name, time_ms + fact.work.queue_timeout_ms)
    return deadlines


def _settled(deadlines: Deadlines, before: Roster, after: Roster, fact: task.TasksSettled, time_ms: int) -> Deadlines:
    for attempt_id in fact.attempts:
        deadlines = deadlines.clear(name_of(TIMEOUT, fact.workspace_id, attempt_id))
        holder = before.holder(attempt_id)
        if holder and holder.on_demand:
            deadlines = _idling(deadlines, fact.workspace_id, after, holder.profession, time_ms)
    return deadlines


def _given_up(
    deadlines: Deadlines,
    before: Roster,
    after: Roster,
    fact: task.TaskLost | task.AttemptCancelled,
    time_ms: int,
) -> Deadlines:
    deadlines = deadlines.clear(name_of(TIMEOUT, fact.workspace_id, fact.attempt_id))
    deadlines = deadlines.clear(name_of(QUEUE, fact.workspace_id, fact.attempt_id))
    if before.doomed:
        deadlines = _mourning(deadlines, fact.workspace_id, after, time_ms)
    attempt = before.attempts.get(fact.attempt_id)
    if isinstance(attempt, Waiting):
        deadlines = _all_idling(deadlines, fact.workspace_id, after, attempt.work, time_ms)
    return deadlines


def _changed(deadlines: Deadlines, before: Roster, after: Roster, fact: task.RosterChanged, time_ms: int) -> Deadlines:
    was, now = before.instances.get(fact.instance_id), after.instances.get(fact.instance_id)
    for attempt_id in was.attempts if was else ():
        if now is None or attempt_id not in now.attempts:
            deadlines = deadlines.clear(name_of(TIMEOUT, fact.workspace_id, attempt_id))
    if len(after.doomed) > len(before.doomed):
        deadlines = _mourning(deadlines, fact.workspace_id, after, time_ms)
    if fact.need_id:
        deadlines = deadlines.clear(_need(fact.workspace_id, fact.profession, fact.need_id))
    if fact.status == GONE:
        deadlines = deadlines.clear(name_of(IDLE, fact.workspace_id, fact.instance_id))
    for profession in sorted({instance.profession for instance in (was, now) if instance}):
        deadlines = _idling(deadlines, fact.workspace_id, after, profession, time_ms)
    return deadlines


def _needed(deadlines: Deadlines, before: Roster, after: Roster, fact: task.InstanceNeeded, time_ms: int) -> Deadlines:
    return deadlines.set(_need(fact.workspace_id, fact.profession, fact.need_id), time_ms + NEED_MS)


def _need_ended(deadlines: Deadlines, before: Roster, after: Roster, fact: task.NeedEnded, time_ms: int) -> Deadlines:
    deadlines = deadlines.clear(_need(fact.workspace_id, fact.profession, fact.need_id))
    if len(after.doomed) > len(before.doomed):
        deadlines = _mourning(deadlines, fact.workspace_id, after, time_ms)
    return _idling(deadlines, fact.workspace_id, after, fact.profession, time_ms)


def _deferred(
    deadlines: Deadlines, before: Roster, after: Roster, fact: task.AssignmentsDeferred, time_ms: int
) -> Deadlines:
    name = name_of(ASSIGNMENTS, fact.workspace_id, fact.profession)
    return deadlines.set(name, time_ms + AT_ONCE_MS) if fact.deferred else deadlines.clear(name)


def _unmoved(deadlines: Deadlines, before: Roster, after: Roster, fact: Fact, time_ms: int) -> Deadlines:
    return deadlines


def _idle(deadlines: Deadlines, before: Roster, after: Roster, fact: task.InstanceIdle, time_ms: int) -> Deadlines:
    instance = after.instances[fact.instance_id]
    idle_ms = idle_ms_of(after.crew(instance.profession))
    return deadlines.set(name_of(IDLE, fact.workspace_id, fact.instance_id), time_ms + idle_ms)


def idle_ms_of(crew: Crew) -> int:
    """How long an instance of this crew may have nothing to do."""
    return crew.size[1] if crew.size else IDLE_MS


def _sized(deadlines: Deadlines, before: Roster, after: Roster, fact: task.CrewSized, time_ms: int) -> Deadlines:
    """Whoever is idle now starts to be anew."""
    for instance_id in after.crew(fact.profession).on_demand:
        deadlines = deadlines.clear(name_of(IDLE, fact.workspace_id, instance_id))
    return _idling(deadlines, fact.workspace_id, after, fact.profession, time_ms)


def _need(workspace_id: str, profession: str, need_id: str) -> str:
    return name_of(NEED, workspace_id, f"{need_id}:{profession}")


def _mourning(deadlines: Deadlines, workspace_id: str, roster: Roster, time_ms: int) -> Deadlines:
    """With the deadline that goes on saying losses, if there are any."""
    name, at_ms = name_of(LOSSES, workspace_id), time_ms + AT_ONCE_MS
    if not roster.doomed:
        return deadlines.clear(name)
    return deadlines if deadlines.times.get(name) == at_ms else deadlines.set(name, at_ms)


def _idling(deadlines: Deadlines, workspace_id: str, roster: Roster, profession: str, time_ms: int) -> Deadlines:
    """With a deadline for each instance on demand that is idle while no task waits for its profession."""
    crew = roster.crew(profession)
    for instance_id in crew.on_demand:
        name = name_of(IDLE, workspace_id, instance_id)
        may_go = roster.instances[instance_id].is_idle and not crew.demands
        if may_go != (name in deadlines.times):
            deadlines = deadlines.set(name, time_ms + idle_ms_of(crew)) if may_go else deadlines.clear(name)
    return deadlines


def _all_idling(deadlines: Deadlines, workspace_id: str, roster: Roster, work: Work, time_ms: int) -> Deadlines:
    """The same for each profession that may do this work."""
    for profession in (work.profession,) if work.profession else sorted(work.professions):
        deadlines = _idling(deadlines, workspace_id, roster, profession, time_ms)
    return deadlines


_Move = Callable[[Deadlines, Roster, Roster, Any, int], Deadlines]

_MOVES: dict[type[Fact], _Move] = {
    task.TaskAssigned: _assigned,
    task.TaskQueued: _queued,
    task.TaskDoubted: _doubted,
    task.TasksSettled: _settled,
    task.TaskLost: _given_up,
    task.AttemptCancelled: _given_up,
    task.RosterChanged: _changed,
    task.InstanceNeeded: _needed,
    task.NeedEnded: _need_ended,
    task.AssignmentsDeferred: _deferred,
    task.WorkspaceBudgeted: _unmoved,
    task.InstanceVacated: _unmoved,
    task.InstanceIdle: _idle,
    task.CrewSized: _sized,
}
