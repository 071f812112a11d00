"""Restart: an instance gets a new worker in the same room, of another version of its profession if that is asked for.

It takes no new tasks, ends those that it has, and its worker goes before the next one comes, so that no task is lost.
"""

from bus.decider import Draft
from bus.record import Envelope
from services.factory.creation import read_profession, refuse
from services.factory.ending import REASON_LENGTH_MAX, drain, stop
from services.factory.instances_state import RESTARTING, Instance, Instances
from services.factory.qualification import terms_of
from services.records.event import InstanceRestarting, InstanceRestartRequested
from services.records.permission import find_lack


def restart(draft: Draft[Instances], heard: Envelope) -> None:
    """Somebody wants a new worker for it; every such ask is answered by `InstanceRestarting` or `InstanceRefused`."""
    ask: InstanceRestartRequested = heard.record
    if heard.id in draft.state.seen:
        return
    instance = draft.state.find(ask.workspace_id, ask.instance_id)
    profession, lack = read_profession(draft, instance.order.profession if instance else "", ask.profession_digest)
    if instance and profession and profession.id != instance.order.profession:
        lack = f"the instance is a `{instance.order.profession}`, and {ask.profession_digest} a `{profession.id}`"
    if reason := find_lack(ask) or lack or _find_fault(ask, instance):
        refuse(draft, ask.workspace_id, ask.instance_id, heard.id, reason)
        return
    assert instance
    reason = ask.reason[:REASON_LENGTH_MAX] or "somebody asked for a new worker"
    if instance.phase == "ready":
        drain(draft, instance, reason)
    skills = {**profession.levels, **instance.order.own_skills} if profession else instance.skills
    draft.add(
        InstanceRestarting(
            workspace_id=ask.workspace_id,
            instance_id=ask.instance_id,
            ask_id=heard.id,
            profession_digest=ask.profession_digest or instance.profession_digest,
            skills=skills,
            reason=reason,
            terms=terms_of(profession) if profession else instance.terms,
        )
    )
    if instance.phase == "starting" or (ask.force and instance.phase in ("ready", "draining")):
        stop(draft, instance, RESTARTING, reason=reason)


def _find_fault(ask: InstanceRestartRequested, instance: Instance | None) -> str:
    if instance is None:
        return f"workspace `{ask.workspace_id}` has no living instance {ask.instance_id}"
    if instance.phase in ("draining", "stopping") and not instance.restarts:
        return f"instance {ask.instance_id} is about to end"
    return ""
