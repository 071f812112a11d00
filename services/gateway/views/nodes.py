"""The nodes of all pools, and what of them is granted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bus.record import Envelope, Record
from services.gateway.views.shelf import Shelf
from services.records.content import Resources
from services.records.event import CapacityFreed, CapacityGranted, HostLost, NodeAccepted, NodeCordoned, NodeLost

LOST_MAX = 1_000
"""Most nodes that are lost and still shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Room on a node that an instance holds."""

    grant_id: str
    instance_id: str
    workspace_id: str
    pool: str
    node_id: str
    resources: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptNode:
    """A node as its pool knows it."""

    node_id: str
    pool: str
    session: str
    capacity: Resources
    drivers: tuple[str, ...]
    status: str = "ready"  # then cordoned or lost
    reason: str = ""
    joined_at_ms: int = 0
    grants: dict[str, Grant] = field(default_factory=dict)


class NodeView:
    """Every node that takes part, and the newest of those that are lost."""

    wants: tuple[type[Record], ...] = (NodeAccepted, NodeCordoned, NodeLost, CapacityGranted, CapacityFreed, HostLost)

    def __init__(self) -> None:
        self.nodes: Shelf[KeptNode] = Shelf(lambda n: n.joined_at_ms, lambda n: n.status == "lost", LOST_MAX)
        self.grants: dict[str, Grant] = {}
        self._cordoned: dict[str, str] = {}  # with the reason; it outlives a session

    def apply(self, envelope: Envelope) -> None:
        record = envelope.record
        match record:
            case NodeAccepted():
                name = self.name(record.pool, record.node_id)
                reason = self._cordoned.get(name)
                node = _accepted(record, envelope.time_ms)
                self.nodes[name] = node if reason is None else replace(node, status="cordoned", reason=reason)
            case NodeCordoned():
                self._note(record)
                self._change(record, status="cordoned" if record.cordoned else "ready", reason=record.reason)
            case NodeLost():
                known = self.nodes.get(self.name(record.pool, record.node_id))
                if known and known.session == record.node_session:
                    self._change(record, status="lost", reason=record.reason)
            case CapacityGranted() if envelope.origin.kind == "fact":
                self._grant(record)
            case CapacityFreed() | HostLost() if envelope.origin.kind == "fact":
                self._free(record.grant_id)

    @staticmethod
    def name(pool: str, node_id: str) -> str:
        """Pools may have nodes of one name."""
        return f"{pool}/{node_id}"

    def _note(self, record: NodeCordoned) -> None:
        name = self.name(record.pool, record.node_id)
        if record.cordoned:
            self._cordoned[name] = record.reason
        else:
            self._cordoned.pop(name, None)

    def _change(self, record: NodeCordoned | NodeLost, **changes: str) -> None:
        name = self.name(record.pool, record.node_id)
        if known := self.nodes.get(name):
            self.nodes[name] = replace(known, **changes)  # type: ignore[arg-type]  # all of them are texts

    def _grant(self, record: CapacityGranted) -> None:
        grant = Grant(
            grant_id=record.grant_id,
            instance_id=record.instance_id,
            workspace_id=record.workspace_id,
            pool=record.pool,
            node_id=record.node_id,
            resources=record.resources,
        )
        self.grants[grant.grant_id] = grant
        if node := self.nodes.get(self.name(record.pool, record.node_id)):
            node.grants[grant.grant_id] = grant

    def _free(self, grant_id: str) -> None:
        grant = self.grants.pop(grant_id, None)
        if grant and (node := self.nodes.get(self.name(grant.pool, grant.node_id))):
            node.grants.pop(grant_id, None)


def _accepted(record: NodeAccepted, time_ms: int) -> KeptNode:
    return KeptNode(
        node_id=record.node_id,
        pool=record.pool,
        session=record.node_session,
        capacity=record.capacity,
        drivers=record.drivers,
        joined_at_ms=time_ms,
    )


def total(parts: list[Resources]) -> Resources:
    """The sum of resources; no parts are nothing, not one slot."""
    names = Resources.model_fields
    return Resources(**{name: sum(getattr(part, name) for part in parts) for name in names})
