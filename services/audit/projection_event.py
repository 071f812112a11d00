"""What the facts of the EventChannel change in the tables: instances, nodes, grants, alarms and professions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Table

from bus.record import Envelope, Record
from services.audit import tables
from services.records.health import AlarmCleared, AlarmRaised
from services.records.instance import (
    InstanceAccepted,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceStarting,
    InstanceStopping,
    ProfessionAdded,
)
from services.records.node import (
    CapacityFreed,
    CapacityGranted,
    CapacityQueued,
    CapacityRefused,
    NodeAccepted,
    NodeCordoned,
    NodeLost,
)

Rows = Iterator[tuple[Table, dict[str, Any]]]


def _accepted(fact: InstanceAccepted, envelope: Envelope) -> Rows:
    names = ("instance_id", "workspace_id", "name", "profession", "agent", "driver", "pool", "on_demand")
    yield tables.instances, {**{name: getattr(fact, name) for name in names}, "accepted_at": envelope.time_ms}


def _starting(fact: InstanceStarting, envelope: Envelope) -> Rows:
    names = ("instance_id", "node_id", "node_session", "incarnation")
    yield tables.instances, {name: getattr(fact, name) for name in names}


def _ready(fact: InstanceReady, envelope: Envelope) -> Rows:
    ready = {"ready_incarnation": fact.incarnation, "ready_at": envelope.time_ms}
    yield tables.instances, {"instance_id": fact.instance_id, **ready}


def _draining(fact: InstanceDraining, envelope: Envelope) -> Rows:
    draining = {"draining_at": envelope.time_ms, "reason": fact.reason}
    yield tables.instances, {"instance_id": fact.instance_id, **draining}


def _stopping(fact: InstanceStopping, envelope: Envelope) -> Rows:
    stopping = {"stopping_at": envelope.time_ms, "reason": fact.reason}
    yield tables.instances, {"instance_id": fact.instance_id, **stopping}


def _ended(fact: InstanceEnded, envelope: Envelope) -> Rows:
    ended = {"outcome": fact.status, "step": fact.step, "reason": fact.reason, "ended_at": envelope.time_ms}
    yield tables.instances, {"instance_id": fact.instance_id, **ended}


def _node_accepted(fact: NodeAccepted, envelope: Envelope) -> Rows:
    offer = {"capacity": fact.capacity.model_dump(), "drivers": list(fact.drivers)}
    session = {"node_session": fact.node_session, "accepted_at": envelope.time_ms}
    yield tables.nodes, {"pool": fact.pool, "node_id": fact.node_id, **session, **offer}


def _node_cordoned(fact: NodeCordoned, envelope: Envelope) -> Rows:
    cordoned = {"cordoned": fact.cordoned, "reason": fact.reason}
    yield tables.nodes, {"pool": fact.pool, "node_id": fact.node_id, **cordoned}


def _node_lost(fact: NodeLost, envelope: Envelope) -> Rows:
    lost = {"lost_session": fact.node_session, "lost_at": envelope.time_ms, "reason": fact.reason}
    yield tables.nodes, {"pool": fact.pool, "node_id": fact.node_id, **lost}


def _queued(fact: CapacityQueued, envelope: Envelope) -> Rows:
    asked = {"resources": fact.resources.model_dump(), "queued_at": envelope.time_ms}
    yield tables.grants, {**_grant(fact), **asked}


def _granted(fact: CapacityGranted, envelope: Envelope) -> Rows:
    node = {"node_id": fact.node_id, "node_session": fact.node_session, "resources": fact.resources.model_dump()}
    yield tables.grants, {**_grant(fact), **node, "granted_at": envelope.time_ms}


def _refused(fact: CapacityRefused, envelope: Envelope) -> Rows:
    yield tables.grants, {**_grant(fact), "refused_at": envelope.time_ms, "reason": fact.reason}


def _grant(fact: CapacityQueued | CapacityGranted | CapacityRefused) -> dict[str, Any]:
    names = ("grant_id", "pool", "workspace_id", "instance_id")
    return {name: getattr(fact, name) for name in names}


def _freed(fact: CapacityFreed, envelope: Envelope) -> Rows:
    yield tables.grants, {"grant_id": fact.grant_id, "freed_at": envelope.time_ms, "reason": fact.reason}


def _raised(fact: AlarmRaised, envelope: Envelope) -> Rows:
    names = ("alarm_id", "rule", "subject", "owner_key", "severity", "evidence")
    yield tables.alarms, {**{name: getattr(fact, name) for name in names}, "raised_at": envelope.time_ms}


def _cleared(fact: AlarmCleared, envelope: Envelope) -> Rows:
    cleared = {"cleared_at": envelope.time_ms, "cleared_because": fact.evidence}
    yield tables.alarms, {"alarm_id": fact.alarm_id, **cleared}


def _profession_added(fact: ProfessionAdded, envelope: Envelope) -> Rows:
    added = {"digest": fact.digest, "added_at": envelope.time_ms}
    yield tables.professions, {"profession": fact.profession, "version": fact.version, **added}


EVENT: Mapping[type[Record], Callable[[Any, Envelope], Rows]] = {
    InstanceAccepted: _accepted,
    InstanceStarting: _starting,
    InstanceReady: _ready,
    InstanceDraining: _draining,
    InstanceStopping: _stopping,
    InstanceEnded: _ended,
    NodeAccepted: _node_accepted,
    NodeCordoned: _node_cordoned,
    NodeLost: _node_lost,
    CapacityQueued: _queued,
    CapacityGranted: _granted,
    CapacityRefused: _refused,
    CapacityFreed: _freed,
    AlarmRaised: _raised,
    AlarmCleared: _cleared,
    ProfessionAdded: _profession_added,
}
