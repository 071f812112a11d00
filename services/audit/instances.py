"""The instances of a system as its records show them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace

from bus.record import Envelope, Record
from services.records.event import (
    InstanceAccepted,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceStarting,
    InstanceStopping,
)

LIVED: tuple[type[Record], ...] = (
    InstanceAccepted,
    InstanceStarting,
    InstanceReady,
    InstanceDraining,
    InstanceStopping,
    InstanceEnded,
)
"""What the life of an instance is folded from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Where an instance is in its life."""

    instance_id: str
    workspace_id: str
    name: str
    profession: str
    agent: str
    driver: str
    status: str  # creating, starting, ready, draining, stopping, then stopped, failed or lost
    node_id: str = ""
    on_demand: bool = False
    created_at_ms: int = 0
    changed_at_ms: int = 0
    reason: str = ""

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
    match record:
        case InstanceStarting():
            known = replace(known, status="starting", node_id=record.node_id)
        case InstanceReady():
            known = replace(known, status="ready", node_id=record.node_id)
        case InstanceDraining():
            known = replace(known, status="draining", reason=record.reason)
        case InstanceStopping():
            known = replace(known, status="stopping", reason=record.reason)
        case InstanceEnded():
            known = replace(known, status=record.status, reason=record.reason)
    found[known.instance_id] = replace(known, changed_at_ms=time_ms)


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
    }
