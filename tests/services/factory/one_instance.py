"""An instance `i` of workspace `w` at the points of its life, and what is said to it there."""

from collections.abc import Iterable

from bus.record import Fact
from bus.testing import Scenario, given
from services.factory.instances import INSTANCES
from services.factory.instances_state import (
    Instances,
)
from services.records.content import Resources
from services.records.event import (
    CapacityGranted,
    CapacityReleased,
    CapacityRequested,
    CreationStepFailed,
    CreationStepTaken,
    HostLost,
    InstanceAccepted,
    InstanceDestroyRequested,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRequested,
    InstanceStarting,
    InstanceStopping,
    SubjectLost,
    WorkerGone,
    WorkerStarted,
)
from services.records.task import InstanceIdle, InstanceNeeded, InstanceVacated

ORDERED = (CreationStepTaken,) * 3
"""Profession, template and configuration, told when an order is accepted."""

LIGHT = Resources(cpu_millis=1000, memory_mib=2048, storage_mib=10240, api_calls_per_minute=200, slots=3)
ASK = InstanceRequested(workspace_id="w", profession="qa_engineer", name="tess", skills={"testing": 7}, model="m")
DESTROY = InstanceDestroyRequested(workspace_id="w", instance_id="i", reason="enough")
FORCE = InstanceDestroyRequested(workspace_id="w", instance_id="i", force=True)
NEED = InstanceNeeded(workspace_id="w", need_id="need 1", profession="qa_engineer", agent="script")
VACATED = InstanceVacated(workspace_id="w", instance_id="i")
IDLE = InstanceIdle(workspace_id="w", instance_id="i", idle_ms=60_000)

ACCEPTED = InstanceAccepted(
    workspace_id="w",
    instance_id="i",
    ask_id="ask",
    profession="qa_engineer",
    name="tess",
    agent="",
    driver="process",
    pool="default",
    resources=LIGHT,
)
ON_DEMAND = ACCEPTED.model_copy(update={"on_demand": True})
DRAINING = InstanceDraining(workspace_id="w", instance_id="i", reason="enough", ask_id="earlier")


def room(grant: str = "g1", *avoid: str) -> CapacityRequested:
    return CapacityRequested(
        workspace_id="w",
        instance_id="i",
        grant_id=grant,
        pool="default",
        resources=LIGHT,
        driver="process",
        avoid=avoid,
    )


def granted(grant: str = "g1", node: str = "n1") -> CapacityGranted:
    return CapacityGranted(
        pool="default",
        workspace_id="w",
        instance_id="i",
        grant_id=grant,
        node_id=node,
        node_session=f"{node}-session",
        resources=LIGHT,
    )


def starting(grant: str = "g1", node: str = "n1", incarnation: int = 1) -> InstanceStarting:
    return InstanceStarting(
        workspace_id="w",
        instance_id="i",
        grant_id=grant,
        node_id=node,
        node_session=f"{node}-session",
        incarnation=incarnation,
        profession="qa_engineer",
        name="tess",
        agent="",
        driver="process",
        resources=LIGHT,
    )


def ready(on_demand: bool = False) -> InstanceReady:
    return InstanceReady(
        workspace_id="w",
        instance_id="i",
        profession="qa_engineer",
        name="tess",
        agent="",
        node_id="n1",
        node_session="n1-session",
        incarnation=1,
        slots=3,
        on_demand=on_demand,
    )


def stopping(status: str = "stopped", reason: str = "enough", step: str = "") -> InstanceStopping:
    return InstanceStopping(
        workspace_id="w",
        instance_id="i",
        node_id="n1",
        node_session="n1-session",
        incarnation=1,
        reason=reason,
        status=status,
        step=step,
    )


def started(session: str = "n1-session", incarnation: int = 1) -> WorkerStarted:
    return WorkerStarted(workspace_id="w", instance_id="i", node_id="n1", node_session=session, incarnation=incarnation)


def gone(session: str = "n1-session", incarnation: int = 1, step: str = "", reason: str = "it fell") -> WorkerGone:
    return WorkerGone(
        workspace_id="w",
        instance_id="i",
        node_id="n1",
        node_session=session,
        incarnation=incarnation,
        step=step,
        reason=reason,
    )


def failed(step: str, reason: str, *, retried: bool, node: str = "n1") -> CreationStepFailed:
    return CreationStepFailed(
        workspace_id="w", instance_id="i", step=step, node_id=node, reason=reason, is_retried=retried
    )


def steps(facts: Iterable[Fact]) -> list[str]:
    """The steps that were told, in order."""
    return [fact.step for fact in facts if isinstance(fact, CreationStepTaken)]


def others(facts: Iterable[Fact]) -> list[Fact]:
    """What was decided besides."""
    return [fact for fact in facts if not isinstance(fact, CreationStepTaken)]


def released(grant: str = "g1") -> CapacityReleased:
    return CapacityReleased(workspace_id="w", instance_id="i", grant_id=grant, pool="default")


def host_lost(grant: str = "g1", node: str = "n1") -> HostLost:
    return HostLost(
        pool="default",
        workspace_id="w",
        instance_id="i",
        grant_id=grant,
        node_id=node,
        node_session=f"{node}-session",
        reason="power",
    )


def silent(session: str = "n1-session", incarnation: int = 1) -> SubjectLost:
    return SubjectLost(
        subject="instance:i", owner_key="w", session=session, incarnation=incarnation, evidence="last seen at 5"
    )


def ended(status: str, reason: str, step: str = "") -> InstanceEnded:
    return InstanceEnded(workspace_id="w", instance_id="i", status=status, step=step, reason=reason)


def waiting() -> Scenario[Instances]:
    return given(INSTANCES, ACCEPTED, room())


def begun() -> Scenario[Instances]:
    return given(INSTANCES, ACCEPTED, room(), starting())


def working(on_demand: bool = False) -> Scenario[Instances]:
    return given(INSTANCES, ON_DEMAND if on_demand else ACCEPTED, room(), starting(), ready(on_demand))


def deadline(scenario: Scenario[Instances]) -> int | None:
    first = INSTANCES.deadlines(scenario.state).first()
    return first[0] if first else None
