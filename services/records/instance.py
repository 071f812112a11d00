"""Instances and professions on the EventChannel."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Posted, Record
from services.records.content import Resources, Terms
from services.records.node import pool_key

SYSTEM_KEY = "_system"


class InstanceRequested(Ask, channel="event", scope="instances:write"):
    """Make an instance with a profession."""

    workspace_id: str
    profession: str
    name: str = ""
    agent: str = ""  # empty: the profession's
    driver: str = "process"  # how its worker is kept apart; `inline` runs scripts inside the node
    pool: str = "default"
    resources: Resources | None = None  # otherwise those of the profession's class
    guaranteed: bool = False  # kept for it in any case; otherwise it shares what is promised more than once
    skills: Mapping[str, int] = {}  # levels that override the profession's
    model: str = ""
    profession_digest: str = ""
    team_id: str = ""  # whom it works with


class InstanceDestroyRequested(Ask, channel="event", scope="instances:write"):
    """End an instance: after its tasks, or at once when forced."""

    workspace_id: str
    instance_id: str
    force: bool = False
    reason: str = ""


class InstanceRestartRequested(Ask, channel="event", scope="instances:write"):
    """Give an instance a new worker once its tasks are done, or at once when forced."""

    workspace_id: str
    instance_id: str
    profession_digest: str = ""  # of the version that it has from then on; empty: as before
    force: bool = False
    reason: str = ""


class ProfessionAddRequested(Ask, channel="event", role="admin", scope="professions:write"):
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
    guaranteed: bool = False
    skills: Mapping[str, int] = {}
    model: str = ""
    on_demand: bool = False
    profession_digest: str = ""
    own_skills: Mapping[str, int] = {}  # those of its skills that are not its profession's
    team_id: str = ""
    terms: Terms | None = None


class InstanceRefused(Fact, channel="event"):
    """The ask for an instance led to none, or for its end to nothing."""

    workspace_id: str
    instance_id: str
    ask_id: str
    reason: str


class CreationStepTaken(Fact, channel="event"):
    """A step of the creation of an instance is done: profession, template, configuration, allocation, initialisation,
    registration, health_check, pool; `InstanceReady` is the last."""

    workspace_id: str
    instance_id: str
    step: str
    at_ms: int  # when it was done, where that is known better than by the time of this record
    detail: str = ""


class CreationStepFailed(Fact, channel="event"):
    """A step of the creation of an instance failed; all that was taken for it is given back."""

    workspace_id: str
    instance_id: str
    step: str
    node_id: str = ""
    reason: str
    is_retried: bool = False  # elsewhere if there is room


class CapacityRequested(Posted, channel="event", addressee="allocator.pool"):
    """Asks the pool for room on a node."""

    workspace_id: str
    instance_id: str
    grant_id: str
    pool: str
    resources: Resources
    guaranteed: bool = False
    driver: str = ""  # that the node must offer; empty: any node will do
    avoid: tuple[str, ...] = ()  # nodes where a creation failed; taken only if no other has room

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
    profession_digest: str = ""


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
    team_id: str = ""
    terms: Terms | None = None


class InstanceDraining(Fact, channel="event"):
    """No new tasks for this instance; it ends when it is vacated. Said again to each further ask for its end."""

    workspace_id: str
    instance_id: str
    reason: str = ""
    ask_id: str = ""  # the ask for its end that this answers


class InstanceRestarting(Fact, channel="event"):
    """The instance is not to end but to have a new worker, of this version of its profession, in the same room."""

    workspace_id: str
    instance_id: str
    ask_id: str
    profession_digest: str = ""
    skills: Mapping[str, int] = {}
    reason: str = ""
    terms: Terms | None = None


class InstanceStopping(Fact, channel="event"):
    """The node named here must stop the worker and report it gone; said again while it does not. What was still
    assigned to the instance is lost."""

    workspace_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    reason: str = ""
    status: str = "stopped"  # how the instance will have ended; "restarting" if it goes on with a new worker
    step: str = ""


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


RECORDS: tuple[type[Record], ...] = (
    InstanceRequested,
    InstanceDestroyRequested,
    InstanceRestartRequested,
    ProfessionAddRequested,
    InstanceAccepted,
    InstanceRefused,
    CreationStepTaken,
    CreationStepFailed,
    CapacityRequested,
    InstanceStarting,
    InstanceReady,
    InstanceDraining,
    InstanceRestarting,
    InstanceStopping,
    InstanceEnded,
    CapacityReleased,
    ProfessionAdded,
    ProfessionRefused,
)
