"""What each fact of the roster changes in its state."""

from collections.abc import Callable
from typing import Any

from bus.record import Fact
from services.records import task
from services.router.crew import Hope, is_possible
from services.router.instance import GONE, READY, Instance, occupied, vacated, word_on
from services.router.queue import Place, demand_of, in_order, rank_of
from services.router.roster_deadlines import timed
from services.router.roster_state import (
    CANCELLED,
    LOST,
    OPEN,
    Assigned,
    Doomed,
    Doubted,
    Roster,
    Rosters,
    Waiting,
    mourned,
    remembered,
    with_crew,
    with_doomed,
    with_doubted,
    with_load,
    with_member,
    with_waiting,
    without_attempt,
    without_doubted,
    without_member,
    without_waiting,
)

WORKER_GONE = "the worker of the instance is gone"


def evolve(state: Rosters, fact: Fact, time_ms: int) -> Rosters:
    """The state after this fact; raises TypeError for one that is not the roster's."""
    fold = _FOLDS.get(type(fact))
    if fold is None:
        raise TypeError(f"router.roster does not know what {type(fact).__name__} changes")
    workspace_id = fact.key()
    before = state.of(workspace_id)
    after = fold(before, fact, time_ms)
    deadlines = timed(state.deadlines, before, after, fact, time_ms)
    return Rosters(state.workspaces.set(workspace_id, after), deadlines)


def _assigned(roster: Roster, fact: task.TaskAssigned, time_ms: int) -> Roster:
    roster = _out_of_line(roster, fact.attempt_id)
    assigned = Assigned(
        fact.task_id, fact.work.run_id, fact.instance_id, fact.node_id, fact.node_session, fact.incarnation, OPEN
    )
    instance = occupied(roster.instances[fact.instance_id], fact.attempt_id)
    return with_load(roster, instance, roster.attempts.set(fact.attempt_id, assigned))


def _queued(roster: Roster, fact: task.TaskQueued, time_ms: int) -> Roster:
    roster = _out_of_line(roster, fact.attempt_id)
    place = Place(demand_of(fact.work), rank_of(fact.work.priority, time_ms, roster.arrivals))
    return with_waiting(roster, fact.attempt_id, Waiting(fact.task_id, fact.work, place, fact.pick))


def _doubted(roster: Roster, fact: task.TaskDoubted, time_ms: int) -> Roster:
    return with_doubted(roster, fact.attempt_id, Doubted(fact.task_id, fact.work, fact.pick, fact.choices))


def _out_of_line(roster: Roster, attempt_id: str) -> Roster:
    """Without what an attempt waited for, if it did."""
    attempt = roster.attempts.get(attempt_id)
    if isinstance(attempt, Waiting):
        return without_waiting(roster, attempt_id, attempt)
    return without_doubted(roster) if isinstance(attempt, Doubted) else roster


def _settled(roster: Roster, fact: task.TasksSettled, time_ms: int) -> Roster:
    for attempt_id in fact.attempts:
        attempt = _assigned_attempt(roster, attempt_id)
        good = None if attempt.status == CANCELLED else attempt.status == OPEN and attempt_id not in fact.failed
        instance = vacated(roster.instances[attempt.instance_id], attempt_id, succeeded=good)
        roster = remembered(with_load(roster, instance, roster.attempts.delete(attempt_id)), attempt_id)
    return roster


def _lost(roster: Roster, fact: task.TaskLost, time_ms: int) -> Roster:
    attempt = roster.attempts.get(fact.attempt_id)
    if attempt is None:
        return remembered(roster, fact.attempt_id)
    if isinstance(attempt, Doomed):
        return mourned(roster, fact.attempt_id)
    return _given_up(roster, fact.attempt_id, attempt, LOST)


def _cancelled(roster: Roster, fact: task.AttemptCancelled, time_ms: int) -> Roster:
    attempt = roster.attempts[fact.attempt_id]
    assert not isinstance(attempt, Doomed), f"attempt {fact.attempt_id} was cancelled but is lost"
    return _given_up(roster, fact.attempt_id, attempt, CANCELLED)


def _given_up(roster: Roster, attempt_id: str, attempt: Waiting | Doubted | Assigned, status: str) -> Roster:
    """An attempt that waits is over; one that holds a slot keeps it, and stays what it became first."""
    if isinstance(attempt, Waiting | Doubted):
        return without_attempt(_out_of_line(roster, attempt_id), attempt_id)
    if attempt.status != OPEN:
        return roster
    return roster._replace(attempts=roster.attempts.set(attempt_id, attempt._replace(status=status)))


def _changed(roster: Roster, fact: task.RosterChanged, time_ms: int) -> Roster:
    before = roster.instances.get(fact.instance_id)
    if fact.need_id:
        roster = _without_need(roster, fact.profession, fact.need_id)
    if before is None:
        return with_member(roster, _instance(fact))
    if fact.status == GONE:
        roster = without_member(_orphaned(roster, before, fact.reason), fact.instance_id)
        return remembered(roster, fact.instance_id, word_on(before.worker))
    if fact.status == READY:
        known = _instance(fact)._replace(need_id=before.need_id, succeeded=before.succeeded, ended=before.ended)
        return with_member(_orphaned(roster, before, fact.reason), known)
    return with_member(roster, before._replace(status=fact.status))


def _instance(fact: task.RosterChanged) -> Instance:
    return Instance(
        instance_id=fact.instance_id,
        profession=fact.profession,
        kind=(fact.agent, tuple(sorted(fact.skills.items()))),
        status=fact.status,
        node_id=fact.node_id,
        node_session=fact.node_session,
        incarnation=fact.incarnation,
        slots=fact.slots,
        on_demand=fact.on_demand,
        need_id=fact.need_id,
        terms=fact.terms,
    )


def _orphaned(roster: Roster, instance: Instance, reason: str) -> Roster:
    """Without the attempts on an instance whose worker is gone; those that were open are doomed."""
    doomed = {}
    for attempt_id in instance.attempts:
        attempt = _assigned_attempt(roster, attempt_id)
        if attempt.status == OPEN:
            doomed[attempt_id] = Doomed(
                attempt.task_id, attempt.run_id, attempt.instance_id, "worker_lost", reason or WORKER_GONE
            )
        else:
            roster = without_attempt(roster, attempt_id)
    return with_doomed(roster, doomed) if doomed else roster


def _needed(roster: Roster, fact: task.InstanceNeeded, time_ms: int) -> Roster:
    crew = roster.crew(fact.profession)
    return with_crew(roster, fact.profession, crew._replace(needs=(*crew.needs, Hope(fact.need_id, fact.agent))))


def _need_ended(roster: Roster, fact: task.NeedEnded, time_ms: int) -> Roster:
    roster = _without_need(roster, fact.profession, fact.need_id)
    if fact.code == "timeout":
        return roster
    crew = roster.crew(fact.profession)._replace(refused_at_ms=time_ms)
    roster = with_crew(roster, fact.profession, crew)
    doomed = {}
    for demand in crew.demands:
        if demand.is_patient and not is_possible(crew, demand.agent):
            for attempt_id in in_order(demand):
                waiting = roster.attempts[attempt_id]
                assert isinstance(waiting, Waiting), f"attempt {attempt_id} stands in the queue but does not wait"
                if any(is_possible(roster.crew(other), demand.agent) for other in waiting.professions):
                    continue  # instances of another profession may do it
                doomed[attempt_id] = Doomed(waiting.task_id, waiting.work.run_id, "", "refused", fact.reason)
                roster = without_waiting(roster, attempt_id, waiting)
    return with_doomed(roster, doomed) if doomed else roster


def _without_need(roster: Roster, profession: str, need_id: str) -> Roster:
    crew = roster.crew(profession)
    return with_crew(
        roster, profession, crew._replace(needs=tuple(need for need in crew.needs if need.hope_id != need_id))
    )


def _deferred(roster: Roster, fact: task.AssignmentsDeferred, time_ms: int) -> Roster:
    return with_crew(roster, fact.profession, roster.crew(fact.profession)._replace(deferred=fact.deferred))


def _budgeted(roster: Roster, fact: task.WorkspaceBudgeted, time_ms: int) -> Roster:
    return roster._replace(budgeted=fact.budgeted)


def _sized(roster: Roster, fact: task.CrewSized, time_ms: int) -> Roster:
    crew = roster.crew(fact.profession)._replace(size=(fact.most, fact.idle_ms))
    return with_crew(roster, fact.profession, crew)


def _vacated(roster: Roster, fact: task.InstanceVacated, time_ms: int) -> Roster:
    return roster if fact.instance_id in roster.instances else remembered(roster, fact.instance_id)


def _idle(roster: Roster, fact: task.InstanceIdle, time_ms: int) -> Roster:
    return roster


def _assigned_attempt(roster: Roster, attempt_id: str) -> Assigned:
    attempt = roster.attempts[attempt_id]
    assert isinstance(attempt, Assigned), f"attempt {attempt_id} holds no slot"
    return attempt


_Fold = Callable[[Roster, Any, int], Roster]

_FOLDS: dict[type[Fact], _Fold] = {
    task.TaskAssigned: _assigned,
    task.TaskQueued: _queued,
    task.TaskDoubted: _doubted,
    task.TasksSettled: _settled,
    task.TaskLost: _lost,
    task.AttemptCancelled: _cancelled,
    task.RosterChanged: _changed,
    task.InstanceNeeded: _needed,
    task.NeedEnded: _need_ended,
    task.AssignmentsDeferred: _deferred,
    task.WorkspaceBudgeted: _budgeted,
    task.InstanceVacated: _vacated,
    task.InstanceIdle: _idle,
    task.CrewSized: _sized,
}

SAYS = frozenset(_FOLDS)
"""All facts of the roster."""
