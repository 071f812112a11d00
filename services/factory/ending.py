"""How an instance ends: drained, stopped, given up or lost; its room is free only once no worker of it can exist."""

from bus.decider import Draft
from bus.record import DeadlineReached, Envelope
from services.factory.creation import ask_for_room, find_waiting, find_worker, order_worker, refuse
from services.factory.instances_state import (
    GRANT_WAIT_MS,
    RESTARTING,
    START_WAIT_MS,
    WARM,
    Instance,
    Instances,
)
from services.factory.steps import tell_failure
from services.factory.warm import fill, fill_again, may_go
from services.records.event import (
    CapacityRefused,
    CapacityReleased,
    HostLost,
    InstanceDestroyRequested,
    InstanceDraining,
    InstanceEnded,
    InstanceStopping,
    SubjectLost,
    WorkerGone,
)
from services.records.permission import find_lack
from services.records.task import InstanceIdle, InstanceVacated

REASON_LENGTH_MAX = 1_000
"""Characters of a stranger's reason that are repeated."""

GRANTS_MAX = 3
"""How often room is asked for before the creation of an instance has failed."""


def give_up(draft: Draft[Instances], heard: Envelope) -> None:
    """The pool has no room for it."""
    refused: CapacityRefused = heard.record
    if instance := find_waiting(draft.state, refused):
        tell_failure(draft, instance, "allocation", refused.reason, retried=False)
        _end(draft, instance, "failed", step="grant", reason=refused.reason)


def destroy(draft: Draft[Instances], heard: Envelope) -> None:
    """Somebody wants its end; every such ask is answered by `InstanceDraining` or `InstanceRefused`."""
    ask: InstanceDestroyRequested = heard.record
    if heard.id in draft.state.seen:
        return
    instance, lack = draft.state.find(ask.workspace_id, ask.instance_id), find_lack(ask)
    if instance is None or lack:
        reason = lack or f"workspace `{ask.workspace_id}` has no living instance {ask.instance_id}"
        refuse(draft, ask.workspace_id, ask.instance_id, heard.id, reason)
        return
    reason = ask.reason[:REASON_LENGTH_MAX] or "somebody asked for its end"
    drain(draft, instance, reason, heard.id)
    if instance.phase == "waiting":
        _release(draft, instance)
        _end(draft, instance, "stopped", reason=reason)
    elif instance.phase == "starting" or (instance.restarts if instance.phase == "stopping" else ask.force):
        stop(draft, instance, "stopped", reason=reason)
    fill(draft, instance.order)


def dismiss(draft: Draft[Instances], heard: Envelope) -> None:
    """It was made on demand and the demand is over."""
    idle: InstanceIdle = heard.record
    instance = draft.state.find(idle.workspace_id, idle.instance_id)
    if instance and instance.phase == "ready" and may_go(draft.state, instance):
        drain(draft, instance, f"it was made on demand and had nothing to do for {idle.idle_ms} ms")


def drain(draft: Draft[Instances], instance: Instance, reason: str, ask_id: str = "") -> None:
    """Give it no new tasks."""
    order = instance.order
    draft.add(
        InstanceDraining(workspace_id=order.workspace_id, instance_id=order.instance_id, reason=reason, ask_id=ask_id)
    )


def vacate(draft: Draft[Instances], heard: Envelope) -> None:
    """The roster says that it has no tasks and will get none."""
    vacated: InstanceVacated = heard.record
    instance = draft.state.find(vacated.workspace_id, vacated.instance_id)
    if instance and instance.phase == "draining":
        stop(draft, instance, RESTARTING if instance.restarts else "stopped", reason=instance.reason)


def mourn(draft: Draft[Instances], heard: Envelope) -> None:
    """A worker that is silent may still exist: it is stopped before its room is free."""
    lost: SubjectLost = heard.record
    kind, _, instance_id = lost.subject.partition(":")
    instance = draft.state.find(lost.owner_key, instance_id) if kind == "instance" else None
    if instance and instance.is_worker(lost.session, lost.incarnation) and instance.phase in ("ready", "draining"):
        status = RESTARTING if instance.restarts else "lost"
        stop(draft, instance, status, reason=f"its worker was silent for too long ({lost.evidence})")


def bury(draft: Draft[Instances], heard: Envelope) -> None:
    """Its node says that the worker and all its processes are gone."""
    gone: WorkerGone = heard.record
    instance = find_worker(draft.state, gone)
    if instance and instance.restarts:
        order_worker(draft, instance, instance.node_id, instance.node_session)
    elif instance:
        _release(draft, instance)
        _conclude(draft, instance, gone.step or "start", gone.reason or "its worker is gone")


def leave_host(draft: Draft[Instances], heard: Envelope) -> None:
    """The node under it is lost, and with it the grant."""
    lost: HostLost = heard.record
    instance = draft.state.find(lost.workspace_id, lost.instance_id)
    if instance and instance.grant_id == lost.grant_id and instance.phase != "waiting":
        _conclude(draft, instance, "start", f"node {lost.node_id} is lost: {lost.reason}")


def _conclude(draft: Draft[Instances], instance: Instance, step: str, reason: str) -> None:
    """The worker is gone and its room is free: the instance is over, or tries again elsewhere."""
    if instance.restarts:
        ask_for_room(draft, instance.order.instance_id)
    elif instance.phase == "stopping":
        _end(draft, instance, instance.status, step=instance.step, reason=instance.reason)
    elif instance.phase != "starting":
        _end(draft, instance, "lost", reason=reason)
    else:
        _try_again(draft, instance, step, reason)


def _try_again(draft: Draft[Instances], instance: Instance, step: str, reason: str) -> None:
    again = instance.grants < GRANTS_MAX
    tell_failure(draft, instance, step, reason, retried=again)
    if again:
        ask_for_room(draft, instance.order.instance_id)
    else:
        _end(draft, instance, "failed", step=step, reason=f"{reason} (try {instance.grants} of {GRANTS_MAX})")


def stop(draft: Draft[Instances], instance: Instance, status: str, *, step: str = "", reason: str = "") -> None:
    """Tell its node to end its worker; the instance will have ended like that, or restarts."""
    draft.add(
        InstanceStopping(
            workspace_id=instance.order.workspace_id,
            instance_id=instance.order.instance_id,
            node_id=instance.node_id,
            node_session=instance.node_session,
            incarnation=instance.incarnation,
            reason=reason[:REASON_LENGTH_MAX],
            status=status,
            step=step,
        )
    )
    fill(draft, instance.order)


def _release(draft: Draft[Instances], instance: Instance) -> None:
    order = instance.order
    draft.add(
        CapacityReleased(
            workspace_id=order.workspace_id,
            instance_id=order.instance_id,
            grant_id=instance.grant_id,
            pool=order.pool,
        )
    )


def _end(draft: Draft[Instances], instance: Instance, status: str, *, step: str = "", reason: str = "") -> None:
    order = instance.order
    draft.add(
        InstanceEnded(
            workspace_id=order.workspace_id,
            instance_id=order.instance_id,
            status=status,
            step=step[:REASON_LENGTH_MAX],
            reason=reason[:REASON_LENGTH_MAX],
        )
    )
    fill(draft, order, reason if status == "failed" else "")


def meet_deadline(draft: Draft[Instances], reached: DeadlineReached) -> None:
    """Somebody did not answer in time, or a warm pool is to be tried again."""
    at_ms = draft.state.deadlines.times.get(reached.id)
    if at_ms is None or at_ms > draft.now_ms:
        return
    if reached.id.startswith(WARM):
        fill_again(draft, reached.id)
        return
    instance = draft.state.live[reached.id]
    if instance.phase == "waiting":
        _release(draft, instance)
        reason = f"pool `{instance.order.pool}` gave no answer within {GRANT_WAIT_MS // 1000} s"
        tell_failure(draft, instance, "allocation", reason, retried=False)
        _end(draft, instance, "failed", step="grant", reason=reason)
    elif instance.phase == "starting":
        reason = f"node {instance.node_id} did not report the worker within {START_WAIT_MS // 1000} s"
        tell_failure(draft, instance, "start", reason, retried=False)
        stop(draft, instance, "failed", step="start", reason=reason)
    else:
        stop(draft, instance, instance.status, step=instance.step, reason=instance.reason)
