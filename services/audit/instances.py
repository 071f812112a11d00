"""The instances of a system as its records show them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace

from bus.record import Envelope, Record
from services.records.event import (
    CreationStepFailed,
    CreationStepTaken,
    InstanceAccepted,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRestarting,
    InstanceStarting,
    InstanceStopping,
)

LIVED: tuple[type[Record], ...] = (
    InstanceAccepted,
    InstanceStarting,
    InstanceReady,
    InstanceDraining,
    InstanceRestarting,
    InstanceStopping,
    InstanceEnded,
    CreationStepTaken,
    CreationStepFailed,
)
"""What the life of an instance is folded from."""


STEPS_MAX = 40
"""Most steps of its creations that are shown of an instance, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the creation of an instance, done or failed."""

    step: str
    at_ms: int
    detail: str
    has_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Where an instance is in its life."""

    instance_id: str
    workspace_id: str
    name: str
    profession: str
    agent: str
    driver: str
    status: str  # creating, starting, ready, draining, restarting, stopping, then stopped, failed or lost
    node_id: str = ""
    on_demand: bool = False
    created_at_ms: int = 0
    changed_at_ms: int = 0
    reason: str = ""
    profession_digest: str = ""
    incarnation: int = 0
    steps: tuple[Step, ...] = ()

    @property
    def has_ended(self) -> bool:
        return self.status in ("stopped", "failed", "lost")


def fold_instances(envelopes: Iterable[Envelope]) -> dict[str, Instance]:
    """Every instance by its id, in the order in which they were accepted."""
    found: dict[str, Instance] = {}
    for envelope in envelopes:
        apply(found, envelope)
    return found


def apply(found: MutableMapping[str, Instance], envelope: Envelope) -> None:
    """Take one record in."""
    record, time_ms = envelope.record, envelope.time_ms
    if isinstance(record, InstanceAccepted):
        found[record.instance_id] = _accepted(record, time_ms)
        return
    known = found.get(getattr(record, "instance_id", ""))
    if known is None:
        return
    found[known.instance_id] = replace(_after(known, record, time_ms), changed_at_ms=time_ms)


def _after(known: Instance, record: Record, time_ms: int) -> Instance:
    match record:
        case CreationStepTaken():
            return _stepped(known, Step(step=record.step, at_ms=record.at_ms, detail=record.detail))
        case CreationStepFailed():
            return _stepped(known, Step(step=record.step, at_ms=time_ms, detail=record.reason, has_failed=True))
        case InstanceStarting():
            return replace(
                known,
                status="starting",
                node_id=record.node_id,
                incarnation=record.incarnation,
                profession_digest=record.profession_digest,
            )
        case InstanceReady():
            ready = Step(step="ready", at_ms=time_ms, detail="")
            return _stepped(replace(known, status="ready", node_id=record.node_id, reason=""), ready)
        case InstanceRestarting():
            return replace(known, status="restarting", reason=record.reason)
        case InstanceDraining():
            return replace(known, status="draining", reason=record.reason)
        case InstanceStopping():
            return replace(known, status="stopping", reason=record.reason)
        case InstanceEnded():
            return replace(known, status=record.status, reason=record.reason)
    return known


def _stepped(known: Instance, step: Step) -> Instance:
    return replace(known, steps=(*known.steps, step)[-STEPS_MAX:])


def _accepted(record: InstanceAccepted, time_ms: int) -> Instance:
    return Instance(
        instance_id=record.instance_id,
        workspace_id=record.workspace_id,
        name=record.name,
        profession=record.profession,
        agent=record.agent,
        driver=record.driver,
        status="creating",
        on_demand=record.on_demand,
        profession_digest=record.profession_digest,
        created_at_ms=time_ms,
        changed_at_ms=time_ms,
    )


def describe(instance: Instance) -> dict[str, object]:
    """One line of `instances list --json`."""
    return {
        "instance_id": instance.instance_id,
        "name": instance.name,
        "profession": instance.profession,
        "status": instance.status,
        "workspace_id": instance.workspace_id,
        "node_id": instance.node_id or None,
        "agent": instance.agent,
        "driver": instance.driver,
        "on_demand": instance.on_demand,
        "created_at": instance.created_at_ms,
        "changed_at": instance.changed_at_ms,
        "reason": instance.reason or None,
        "profession_digest": instance.profession_digest or None,
    }


def describe_steps(instance: Instance) -> list[dict[str, object]]:
    """The steps of its creation, the oldest first."""
    return [
        {"step": each.step, "at": each.at_ms, "detail": each.detail, "failed": each.has_failed}
        for each in instance.steps
    ]
