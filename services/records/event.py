"""EventChannel: instances, nodes, capacity, professions and alarms."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Posted, Record, Report, Value
from services.records.content import Resources

SYSTEM_KEY = "_system"


def pool_key(pool: str) -> str:
    """Partition key of a pool."""
    return f"pool:{pool}"


class InstanceRequested(Ask, channel="event"):
    """Make an instance with a profession."""

    workspace_id: str
    profession: str
    name: str = ""
    agent: str = ""  # empty: the profession's
    driver: str = "process"  # how its worker is kept apart; `inline` runs scripts inside the node
    pool: str = "default"
    resources: Resources | None = None  # otherwise those of the profession's class
    skills: Mapping[str, int] = {}  # levels that override the profession's
    model: str = ""
    profession_digest: str = ""


class InstanceDestroyRequested(Ask, channel="event"):
    """End an instance: after its tasks, or at once when forced."""

    workspace_id: str
    instance_id: str
    force: bool = False
    reason: str = ""


class ProfessionAddRequested(Ask, channel="event"):
    """Add a profession, or a new version of one; its canonical JSON is in the blob store."""

    profession: str
    digest: str

    def key(self) -> str:
        return SYSTEM_KEY


# Facts of factory.instances.


class InstanceAccepted(Fact, channel="event"):
    """An instance will be made; capacity is asked for in the same decision."""

    workspace_id: str
    instance_id: str
    ask_id: str
    profession: str
    name: str
    agent: str
    driver: str
    pool: str
    resources: Resources
    skills: Mapping[str, int] = {}
    model: str = ""
    on_demand: bool = False


class InstanceRefused(Fact, channel="event"):
    """The ask for an instance led to none, or for its end to nothing."""

    workspace_id: str
    instance_id: str
    ask_id: str
    reason: str


class CapacityRequested(Posted, channel="event", addressee="allocator.pool"):
    """Asks the pool for room on a node."""

    workspace_id: str
    instance_id: str
    grant_id: str
    pool: str
    resources: Resources

    def address(self) -> str:
        return pool_key(self.pool)


class InstanceStarting(Fact, channel="event"):
    """The node named here must start a worker for this instance."""

    workspace_id: str
    instance_id: str
    grant_id: str
    node_id: str
    node_session: str
    incarnation: int
    profession: str
    name: str
    agent: str
    driver: str
    resources: Resources
    model: str = ""
    skills: Mapping[str, int] = {}


class InstanceReady(Fact, channel="event"):
    """The worker runs and the node hears its workspace; tasks may come."""

    workspace_id: str
    instance_id: str
    profession: str
    name: str
    agent: str
    node_id: str
    node_session: str
    incarnation: int
    slots: int
    skills: Mapping[str, int] = {}
    on_demand: bool = False


class InstanceDraining(Fact, channel="event"):
    """No new tasks for this instance; it ends when it is vacated."""

    workspace_id: str
    instance_id: str
    reason: str = ""


class InstanceStopping(Fact, channel="event"):
    """The node named here must stop the worker and report it gone."""

    workspace_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    reason: str = ""


class InstanceEnded(Fact, channel="event"):
    """The end of an instance: stopped, failed (at a step of its creation) or lost."""

    workspace_id: str
    instance_id: str
    status: str  # stopped, failed, lost
    step: str = ""
    reason: str = ""


class CapacityReleased(Posted, channel="event", addressee="allocator.pool"):
    """Gives a grant back to the pool; its worker is gone."""

    workspace_id: str
    instance_id: str
    grant_id: str
    pool: str

    def address(self) -> str:
        return pool_key(self.pool)


# Facts of factory.professions.


class ProfessionAdded(Fact, channel="event"):
    """A version of a profession; the newest is used by what is asked for from here on."""

    profession: str
    version: int
    digest: str
    ask_id: str = ""

    def key(self) -> str:
        return SYSTEM_KEY


class ProfessionRefused(Fact, channel="event"):
    """A profession was not added, with the reason in a sentence."""

    profession: str
    digest: str
    ask_id: str
    reason: str

    def key(self) -> str:
        return SYSTEM_KEY


# Facts of allocator.pool.


class PoolRecord(Value):
    """Fields and key of what belongs to a pool."""

    pool: str

    def key(self) -> str:
        return pool_key(self.pool)


class NodeAccepted(PoolRecord, Fact, channel="event"):
    """A node session takes part; an older session of the same node is over."""

    node_id: str
    node_session: str
    capacity: Resources


class NodeRefused(PoolRecord, Fact, channel="event"):
    """A node may not take part, with the reason in a sentence."""

    node_id: str
    node_session: str
    reason: str


class NodeCordoned(PoolRecord, Fact, channel="event"):
    """No new grants on this node, or again (cordoned false)."""

    node_id: str
    cordoned: bool = True
    reason: str = ""


class NodeLost(PoolRecord, Fact, channel="event"):
    """A node session is over: everything it ran counts as dead; reading this it kills its workers."""

    node_id: str
    node_session: str
    reason: str


class CapacityGranted(Posted, channel="event", addressee="factory.instances"):
    """Room on a node for an instance."""

    pool: str
    workspace_id: str
    instance_id: str
    grant_id: str
    node_id: str
    node_session: str
    resources: Resources
    accepted_at: str = ""  # a position at or before the InstanceAccepted that this answers

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
    """Tells the owner of an instance that the node under it is gone."""

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


class WorkerGone(Report, channel="event"):
    """The worker of an instance no longer exists, nor any process of it."""

    workspace_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    reason: str = ""
    step: str = ""  # of creation, when it never got ready


# Reports of the health monitor, then facts of health.watch.


class LeaseMissed(Report, channel="event"):
    """Telemetry was read to its end and a lease has run out."""

    subject: str  # "instance:ID" or "node:ID"
    owner_key: str  # the partition key of the subject: its workspace or pool
    session: str  # of the node
    incarnation: int = 0
    last_seen_ms: int
    lease_ms: int
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


class LeaseResumed(Report, channel="event"):
    """A subject that had missed its lease was heard again."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    seen_ms: int

    def key(self) -> str:
        return self.owner_key


class SubjectLate(Fact, channel="event"):
    """A subject has missed its lease; it is lost if it stays silent until `lost_at_ms`."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    lost_at_ms: int
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


class SubjectLost(Fact, channel="event"):
    """A subject stayed silent too long; the owner of its life acts on it."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


class SubjectRecovered(Fact, channel="event"):
    """A late subject was heard again before it was lost."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0

    def key(self) -> str:
        return self.owner_key


class AlarmRaised(Fact, channel="event"):
    """A rule is broken for a subject: raised once per episode, with evidence."""

    alarm_id: str
    rule: str
    subject: str
    owner_key: str
    severity: str = "warning"
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


class AlarmCleared(Fact, channel="event"):
    """The episode of an alarm is over."""

    alarm_id: str
    rule: str
    subject: str
    owner_key: str
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


RECORDS: tuple[type[Record], ...] = (
    InstanceRequested,
    InstanceDestroyRequested,
    ProfessionAddRequested,
    InstanceAccepted,
    InstanceRefused,
    CapacityRequested,
    InstanceStarting,
    InstanceReady,
    InstanceDraining,
    InstanceStopping,
    InstanceEnded,
    CapacityReleased,
    ProfessionAdded,
    ProfessionRefused,
    NodeAccepted,
    NodeRefused,
    NodeCordoned,
    NodeLost,
    CapacityGranted,
    CapacityRefused,
    CapacityFreed,
    HostLost,
    NodeJoined,
    NodeLeft,
    WorkerStarted,
    WorkerGone,
    LeaseMissed,
    LeaseResumed,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    AlarmRaised,
    AlarmCleared,
)
