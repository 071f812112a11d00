"""Nodes and the capacity of pools on the EventChannel."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Posted, Record, Report, Value
from services.records.content import Resources


def pool_key(pool: str) -> str:
    """Partition key of a pool."""
    return f"pool:{pool}"


class PoolRecord(Value):
    """Fields and key of what belongs to a pool."""

    pool: str

    def key(self) -> str:
        return pool_key(self.pool)


class NodeCordonRequested(PoolRecord, Ask, channel="event", role="admin", scope="nodes:write"):
    """Give no new grants on a node, or give them again (cordoned false)."""

    node_id: str
    cordoned: bool = True
    reason: str = ""


# Facts of allocator.pool.


class NodeAccepted(PoolRecord, Fact, channel="event"):
    """A node session takes part; an older session of the same node is over."""

    node_id: str
    node_session: str
    capacity: Resources
    drivers: tuple[str, ...] = ()
    solid: Resources | None = None  # of the capacity what is promised only once; None: all of it


class NodeRefused(PoolRecord, Fact, channel="event"):
    """A node may not take part, or cannot be cordoned, with the reason in a sentence."""

    node_id: str
    node_session: str = ""
    reason: str
    ask_id: str = ""


class NodeCordoned(PoolRecord, Fact, channel="event"):
    """No new grants on this node, or again (cordoned false)."""

    node_id: str
    cordoned: bool = True
    reason: str = ""
    ask_id: str = ""


class NodeLost(PoolRecord, Fact, channel="event"):
    """A node session is over: everything it ran counts as dead; reading this it kills its workers.

    Each grant that it held ends with a `HostLost`, some of them in later decisions.
    """

    node_id: str
    node_session: str
    reason: str


class CapacityQueued(PoolRecord, Fact, channel="event"):
    """The pool has no node yet; the request waits for one until `refused_at_ms`."""

    workspace_id: str
    instance_id: str
    grant_id: str
    resources: Resources
    driver: str = ""
    avoid: tuple[str, ...] = ()
    guaranteed: bool = False
    requested_at: str = ""
    refused_at_ms: int


class CapacityGranted(Posted, channel="event", addressee="factory.instances"):
    """Room on a node for an instance."""

    pool: str
    workspace_id: str
    instance_id: str
    grant_id: str
    node_id: str
    node_session: str
    resources: Resources
    guaranteed: bool = False
    accepted_at: str = ""  # a position on the workspace's partition before all that concerns the node

    def key(self) -> str:
        return pool_key(self.pool)

    def address(self) -> str:
        return self.workspace_id


class CapacityRefused(Posted, channel="event", addressee="factory.instances"):
    """No room: what is missing, and what would fit."""

    pool: str
    workspace_id: str
    instance_id: str
    grant_id: str
    reason: str

    def key(self) -> str:
        return pool_key(self.pool)

    def address(self) -> str:
        return self.workspace_id


class CapacityFreed(PoolRecord, Fact, channel="event"):
    """A grant is over."""

    grant_id: str
    instance_id: str
    reason: str = ""


class HostLost(Posted, channel="event", addressee="factory.instances"):
    """Tells the owner of an instance that the node under it is gone, and the grant with it."""

    pool: str
    workspace_id: str
    instance_id: str
    grant_id: str
    node_id: str
    node_session: str
    reason: str

    def key(self) -> str:
        return pool_key(self.pool)

    def address(self) -> str:
        return self.workspace_id


# Reports of nodes.


class NodeJoined(PoolRecord, Report, channel="event"):
    """A node session offers its capacity; all workers of its older sessions are dead."""

    node_id: str
    node_session: str
    capacity: Resources
    drivers: tuple[str, ...] = ()
    address: str = ""
    solid: Resources | None = None  # what is really there, where more is offered than that; None: all of it


class NodeLeft(PoolRecord, Report, channel="event"):
    """A node session ends in order; its workers are stopped."""

    node_id: str
    node_session: str
    reason: str = ""


class WorkerStarted(Report, channel="event"):
    """The worker of an instance runs and has said hello, and its node hears the workspace live."""

    workspace_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    pid: int = 0
    limits: tuple[str, ...] = ()  # those that are really in force
    steps: Mapping[str, int] = {}  # of its creation on the node, each with the time at which it was done


class WorkerGone(Report, channel="event"):
    """The worker of an instance no longer exists, nor any process of it."""

    workspace_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    reason: str = ""
    step: str = ""  # of creation, when it never got ready


RECORDS: tuple[type[Record], ...] = (
    NodeCordonRequested,
    NodeAccepted,
    NodeRefused,
    NodeCordoned,
    NodeLost,
    CapacityQueued,
    CapacityGranted,
    CapacityRefused,
    CapacityFreed,
    HostLost,
    NodeJoined,
    NodeLeft,
    WorkerStarted,
    WorkerGone,
)
