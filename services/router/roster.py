"""The role router.roster: which instance gets which attempt and why, and what waits, in each workspace.

What the parts hold: `roster_state` the state, `roster_facts` and `roster_deadlines` what a fact changes in it, `crew`
and `queue` the instances and the waiting tasks of a profession, `selection` the choice among professions, `placement`
the one among instances; `assignment`, `loss`, `membership` and `provision` the decisions.
"""

from collections.abc import Callable
from typing import Any

from bus.deadline import Deadlines
from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.records import event, task
from services.records.review import ReviewClosed
from services.router.assignment import answer, budget, request, resume, settle
from services.router.loss import cancel, say_losses, stop_waiting, time_out
from services.router.membership import accept, drain, end, expire_need, refuse, release, resize, stop, welcome
from services.router.roster_deadlines import (
    ASSIGNMENTS,
    IDLE,
    LOSSES,
    NEED,
    QUEUE,
    TIMEOUT,
    parts_of,
)
from services.router.roster_facts import SAYS, evolve
from services.router.roster_state import Rosters
from services.router.selection import digests_of

_DECISIONS: dict[type[Record], Callable[[Draft[Rosters], Any], None]] = {
    task.TaskRequested: request,
    task.CancelRequested: cancel,
    task.TaskCompleted: settle,
    task.TaskFailed: settle,
    ReviewClosed: answer,
    event.BudgetSet: budget,
    event.InstanceAccepted: accept,
    event.InstanceReady: welcome,
    event.InstanceDraining: drain,
    event.InstanceStopping: stop,
    event.InstanceEnded: end,
    event.InstanceRefused: refuse,
    event.WarmPoolSet: resize,
}


_WAKES: dict[str, Callable[[Draft[Rosters], str, str], None]] = {
    TIMEOUT: time_out,
    QUEUE: stop_waiting,
    IDLE: release,
    NEED: expire_need,
    LOSSES: lambda draft, workspace_id, _: say_losses(draft, workspace_id),
    ASSIGNMENTS: resume,
}


def decide(draft: Draft[Rosters], heard: Envelope) -> None:
    if isinstance(heard.record, DeadlineReached):
        kind, workspace_id, subject = parts_of(heard.record.id)
        _WAKES[kind](draft, workspace_id, subject)
    elif decision := _DECISIONS.get(type(heard.record)):
        decision(draft, heard.record)


def needs(state: Rosters, heard: Envelope) -> tuple[str, ...]:
    """The professions to choose from, for a task that names none."""
    record: Any = heard.record
    return digests_of(record.work) if isinstance(record, task.TaskRequested) else ()


def deadlines(state: Rosters) -> Deadlines:
    return state.deadlines


ROSTER: Role[Rosters] = Role(
    name="router.roster",
    home="task",
    hears=frozenset(_DECISIONS),
    says=SAYS,
    initial=Rosters,
    decide=decide,
    evolve=evolve,
    deadlines=deadlines,
    needs=needs,
)
