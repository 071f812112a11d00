"""How an instance comes to be: accepted or refused, given room on a node, started, ready."""

from bus.decider import Draft
from bus.record import Envelope
from services.definitions.profession import Profession
from services.definitions.resource_class import RESOURCE_CLASS_DEFAULT, RESOURCE_CLASSES
from services.factory.instances_state import Instance, Instances
from services.factory.qualification import Unqualified, find_profession, resources_of, terms_of
from services.factory.steps import tell_allocation, tell_order, tell_worker
from services.records.content import Resources
from services.records.event import (
    CapacityGranted,
    CapacityRefused,
    CapacityRequested,
    InstanceAccepted,
    InstanceReady,
    InstanceRefused,
    InstanceRequested,
    InstanceStarting,
    WarmPoolSet,
    WorkerGone,
    WorkerStarted,
)
from services.records.permission import find_lack
from services.records.task import InstanceNeeded

INSTANCES_MAX = 200
"""Most instances of a workspace that live at once."""

ON_DEMAND_MAX = 4
"""Most of them that were made on demand for one profession."""

NAME_LENGTH_MAX = 200
"""Characters of a name."""


def request(draft: Draft[Instances], heard: Envelope) -> None:
    """An instance that somebody wants."""
    ask: InstanceRequested = heard.record
    instance_id = draft.new_id("instance")
    profession, lack = read_profession(draft, ask.profession, ask.profession_digest)
    order = InstanceAccepted(
        workspace_id=ask.workspace_id,
        instance_id=instance_id,
        ask_id=heard.id,
        profession=ask.profession,
        name=ask.name or name_of(ask.profession, instance_id),
        agent=ask.agent or (profession.agent if profession else ""),
        driver=ask.driver,
        pool=ask.pool,
        resources=ask.resources or resources_of(profession),
        guaranteed=ask.guaranteed,
        skills={**(profession.levels if profession else {}), **ask.skills},
        model=ask.model,
        profession_digest=ask.profession_digest,
        own_skills=ask.skills,
        team_id=ask.team_id,
        terms=terms_of(profession),
    )
    open_order(draft, order, find_lack(ask) or lack)


def read_profession(draft: Draft[Instances], name: str, digest: str) -> tuple[Profession | None, str]:
    """The profession that an ask names by digest, or why it cannot be had."""
    try:
        return find_profession(name, digest, draft.blobs.get(digest)), ""
    except Unqualified as error:
        return None, str(error)


def need(draft: Draft[Instances], heard: Envelope) -> None:
    """An instance that tasks wait for; it goes when it has nothing to do. A warm pool of its profession says how it
    is to be, where there is one."""
    needed: InstanceNeeded = heard.record
    instance_id = draft.new_id("instance")
    profession, lack = read_profession(draft, needed.profession, needed.profession_digest)
    order = InstanceAccepted(
        workspace_id=needed.workspace_id,
        instance_id=instance_id,
        ask_id=needed.need_id,
        profession=needed.profession,
        name=name_of(needed.profession, instance_id),
        agent=needed.agent or (profession.agent if profession else ""),
        driver="process",
        pool="default",
        resources=RESOURCE_CLASSES[RESOURCE_CLASS_DEFAULT],
        on_demand=True,
        skills=profession.levels if profession else {},
        profession_digest=needed.profession_digest,
        terms=terms_of(profession),
    )
    if warm := draft.state.warm_pool(needed.workspace_id, needed.profession):
        order = order.model_copy(update=warm_parts(warm.order, needed.agent))
    open_order(draft, order, lack)


def warm_parts(pool: WarmPoolSet, agent: str = "") -> dict[str, object]:
    """What a warm pool says of its instances; `agent` is what waiting tasks insist on."""
    return {
        "agent": agent or pool.agent,
        "driver": pool.driver,
        "pool": pool.pool,
        "resources": pool.resources,
        "model": pool.model,
        "skills": pool.skills,
        "profession_digest": pool.profession_digest,
        "terms": pool.terms,
    }


def name_of(profession: str, instance_id: str) -> str:
    return f"{profession}-{instance_id[:6]}"


def open_order(draft: Draft[Instances], order: InstanceAccepted, lack: str = "") -> None:
    """Accept an order and ask for room, or say why not."""
    if order.ask_id in draft.state.seen or order.instance_id in draft.state.live:
        return
    if reason := lack or _find_fault(draft.state, order):
        refuse(draft, order.workspace_id, order.instance_id, order.ask_id, reason)
        return
    draft.add(order)
    tell_order(draft, order)
    ask_for_room(draft, order.instance_id)


def _find_fault(state: Instances, order: InstanceAccepted) -> str:
    headcount, workspace = state.headcount(order.workspace_id), f"workspace `{order.workspace_id}`"
    if not order.profession or max(len(order.profession), len(order.name)) > NAME_LENGTH_MAX:
        return f"an instance needs a profession, and no name may be longer than {NAME_LENGTH_MAX} characters"
    if not is_sound(order.resources):
        return "an instance needs at least one slot, and less than nothing of no resource"
    if headcount.total >= INSTANCES_MAX:
        return f"{workspace} has {INSTANCES_MAX} instances, which is the most it may have; destroy one first"
    warm = state.warm_pool(order.workspace_id, order.profession)
    most = warm.order.most if warm else ON_DEMAND_MAX
    if order.on_demand and headcount.on_demand.get(order.profession, 0) >= most:
        return f"{workspace} has {most} instances of `{order.profession}` made on demand, the most it may have"
    return ""


def is_sound(resources: Resources) -> bool:
    """Whether an instance can be made of this."""
    return resources.slots > 0 and all(amount >= 0 for amount in resources.model_dump().values())


def refuse(draft: Draft[Instances], workspace_id: str, instance_id: str, ask_id: str, reason: str) -> None:
    """Answer an ask with a reason."""
    draft.add(InstanceRefused(workspace_id=workspace_id, instance_id=instance_id, ask_id=ask_id, reason=reason))


def ask_for_room(draft: Draft[Instances], instance_id: str) -> None:
    """Ask the pool for a grant, away from the nodes where this creation failed."""
    instance = draft.state.live[instance_id]
    failed_on = {*instance.avoid, instance.node_id} - {""}
    draft.add(
        CapacityRequested(
            workspace_id=instance.order.workspace_id,
            instance_id=instance_id,
            grant_id=draft.new_id("grant", instance_id),
            pool=instance.order.pool,
            resources=instance.order.resources,
            guaranteed=instance.order.guaranteed,
            driver=instance.order.driver,
            avoid=tuple(sorted(failed_on)),
        )
    )


def start(draft: Draft[Instances], heard: Envelope) -> None:
    """Room is granted: the node that has it is told to start a worker."""
    granted: CapacityGranted = heard.record
    instance = find_waiting(draft.state, granted)
    if instance is None:
        return
    tell_allocation(draft, instance, granted)
    order_worker(draft, instance, granted.node_id, granted.node_session)


def order_worker(draft: Draft[Instances], instance: Instance, node_id: str, node_session: str) -> None:
    """Tell a node to start the next worker of an instance."""
    order = instance.order
    draft.add(
        InstanceStarting(
            workspace_id=order.workspace_id,
            instance_id=order.instance_id,
            grant_id=instance.grant_id,
            node_id=node_id,
            node_session=node_session,
            incarnation=instance.incarnation + 1,
            profession=order.profession,
            name=order.name,
            agent=order.agent,
            driver=order.driver,
            resources=order.resources,
            model=order.model,
            skills=instance.skills,
            profession_digest=instance.profession_digest,
        )
    )


def find_waiting(state: Instances, answer: CapacityGranted | CapacityRefused) -> Instance | None:
    """The instance that this answer of its pool is for, if it still waits for that."""
    instance = state.find(answer.workspace_id, answer.instance_id)
    is_open = instance is not None and instance.phase == "waiting" and instance.grant_id == answer.grant_id
    return instance if is_open else None


def greet(draft: Draft[Instances], heard: Envelope) -> None:
    """Its worker runs: tasks may come."""
    started: WorkerStarted = heard.record
    instance = find_worker(draft.state, started)
    if instance is None or instance.phase != "starting":
        return
    order = instance.order
    tell_worker(draft, instance, started)
    draft.add(
        InstanceReady(
            workspace_id=order.workspace_id,
            instance_id=order.instance_id,
            profession=order.profession,
            name=order.name,
            agent=order.agent,
            node_id=instance.node_id,
            node_session=instance.node_session,
            incarnation=instance.incarnation,
            slots=order.resources.slots,
            skills=instance.skills,
            on_demand=order.on_demand,
            team_id=order.team_id,
            terms=instance.terms,
        )
    )


def find_worker(state: Instances, report: WorkerStarted | WorkerGone) -> Instance | None:
    """The instance whose open worker this report is about."""
    instance = state.find(report.workspace_id, report.instance_id)
    if instance is None or not instance.is_worker(report.node_session, report.incarnation):
        return None
    return instance
