"""The life of an instance: accepted → starting → ready → draining → stopping → ended.

It is asked for, its pool grants room on a node, the node starts a worker and reports it. When it is to end it takes no
new tasks, is stopped once the roster says that it is vacated (forced or lost: at once), and is over when its node
reports the worker gone; only then, or when the node itself is lost, its room is free. A creation that fails is tried
again on another grant, `GRANTS_MAX` in all. An instance that restarts is drained and stopped the same way, then started
anew in its room. Each step of a creation is told as a fact, see `steps.py`. Reports that do not name the open node
session and incarnation are ignored.
"""

from collections.abc import Callable, Mapping

from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.factory import creation, ending, restart, warm
from services.factory.instances_state import FOLDS, Instances, evolve
from services.factory.qualification import needs
from services.records.event import (
    CapacityGranted,
    CapacityRefused,
    HostLost,
    InstanceDestroyRequested,
    InstanceRequested,
    InstanceRestartRequested,
    SubjectLost,
    WarmPoolRequested,
    WorkerGone,
    WorkerStarted,
)
from services.records.task import InstanceIdle, InstanceNeeded, InstanceVacated


def decide(draft: Draft[Instances], heard: Envelope) -> None:
    """Lead each instance through its life."""
    if isinstance(heard.record, DeadlineReached):
        ending.meet_deadline(draft, heard.record)
    elif answer := _ANSWERS.get(type(heard.record)):
        answer(draft, heard)


_ANSWERS: Mapping[type[Record], Callable[[Draft[Instances], Envelope], None]] = {
    InstanceRequested: creation.request,
    InstanceNeeded: creation.need,
    CapacityGranted: creation.start,
    CapacityRefused: ending.give_up,
    WorkerStarted: creation.greet,
    InstanceDestroyRequested: ending.destroy,
    InstanceRestartRequested: restart.restart,
    WarmPoolRequested: warm.set_pool,
    InstanceIdle: ending.dismiss,
    InstanceVacated: ending.vacate,
    SubjectLost: ending.mourn,
    WorkerGone: ending.bury,
    HostLost: ending.leave_host,
}

INSTANCES: Role[Instances] = Role(
    name="factory.instances",
    home="event",
    hears=frozenset(_ANSWERS),
    says=frozenset(FOLDS),
    quarantines=frozenset({"event"}),
    initial=Instances,
    decide=decide,
    evolve=evolve,
    deadlines=lambda instances: instances.deadlines,
    needs=needs,
)
