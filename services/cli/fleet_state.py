"""What `clawx top` shows: nodes, instances with what they use, and alarms, as the records so far tell."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.instances import LIVED, Instance, apply
from services.gateway.views.alarms import AlarmView
from services.gateway.views.nodes import NodeView
from services.records.telemetry import NodeHeartbeat, WorkerPulse

INSTANCES_MAX = 500
"""Most instances that are shown, the busiest first."""


class FleetState:
    """Takes records in; `describe` tells how things are."""

    wants: dict[str, tuple[type[Record], ...]] = {  # noqa: RUF012 — read only
        "event": tuple(dict.fromkeys((*LIVED, *NodeView.wants, *AlarmView.wants))),
        "telemetry": (NodeHeartbeat,),
    }

    def __init__(self) -> None:
        self._nodes, self._alarms = NodeView(), AlarmView()
        self._instances: dict[str, Instance] = {}
        self._pulses: dict[str, tuple[int, WorkerPulse]] = {}
        self._shares: dict[str, float] = {}  # of a core, by instance

    def apply(self, envelope: Envelope) -> None:
        """Take one record in."""
        record = envelope.record
        if isinstance(record, NodeHeartbeat):
            for pulse in record.workers:
                self._feel(pulse, envelope.time_ms)
            return
        if isinstance(record, NodeView.wants):
            self._nodes.apply(envelope)
        if isinstance(record, AlarmView.wants):
            self._alarms.apply(envelope)
        if isinstance(record, LIVED):
            apply(self._instances, envelope)
            self._forget(getattr(record, "instance_id", ""))

    def _feel(self, pulse: WorkerPulse, time_ms: int) -> None:
        before = self._pulses.get(pulse.instance_id)
        if before and before[1].incarnation == pulse.incarnation and time_ms > before[0]:
            self._shares[pulse.instance_id] = max(0, pulse.cpu_ms - before[1].cpu_ms) / (time_ms - before[0])
        self._pulses[pulse.instance_id] = (time_ms, pulse)

    def _forget(self, instance_id: str) -> None:
        known = self._instances.get(instance_id)
        if known and known.has_ended:
            for kept in (self._instances, self._pulses, self._shares):
                kept.pop(instance_id, None)

    def describe(self, now_ms: int) -> dict[str, object]:
        """One line of `top --json`."""
        rows = sorted((self._row(each) for each in self._instances.values()), key=_busiest)
        standing = [each for each in self._alarms.alarms.values() if not each.cleared_at_ms]
        return {
            "at": now_ms,
            "nodes": [
                {"node_id": n.node_id, "pool": n.pool, "status": n.status, "instances": len(n.grants)}
                for n in self._nodes.nodes.values()
                if n.status != "lost"
            ],
            "instances": rows[:INSTANCES_MAX],
            "alarms": [
                {"rule": a.rule, "subject": a.subject, "raised_at": a.raised_at_ms, "evidence": a.evidence}
                for a in standing
            ],
        }

    def _row(self, instance: Instance) -> dict[str, object]:
        _, pulse = self._pulses.get(instance.instance_id, (0, None))
        return {
            "instance_id": instance.instance_id,
            "name": instance.name,
            "profession": instance.profession,
            "status": instance.status,
            "node_id": instance.node_id or None,
            "tasks": pulse.busy if pulse else 0,
            "cpu_cores": round(self._shares.get(instance.instance_id, 0.0), 3),
            "memory_mib": pulse.memory_mib if pulse else 0,
        }


def _busiest(row: dict[str, object]) -> tuple[float, float, str]:
    return -float(str(row["tasks"])), -float(str(row["cpu_cores"])), str(row["name"])
