"""The steps of a creation, told one by one: profession, template, configuration, allocation, initialisation,
registration, health check and pool; the notice that the instance is ready is the last."""

from collections.abc import Iterator

from bus.decider import Draft
from services.factory.instances_state import Instance, Instances
from services.records.content import Resources
from services.records.event import (
    CapacityGranted,
    CreationStepFailed,
    CreationStepTaken,
    InstanceAccepted,
    WorkerStarted,
)

ON_NODE = ("initialisation", "registration", "health_check")
"""Those that a node takes, and reports with the time of each."""

DETAIL_LENGTH_MAX = 500
"""Characters that are said of a step."""


def tell_order(draft: Draft[Instances], order: InstanceAccepted) -> None:
    """What the order was made from."""
    version = f" ({order.profession_digest})" if order.profession_digest else ""
    _tell(draft, order, "profession", f"{order.profession}{version}")
    _tell(draft, order, "template", f"agent {order.agent or 'of the stage'}, driver {order.driver}")
    _tell(draft, order, "configuration", ", ".join(_configuration(order)))


def _configuration(order: InstanceAccepted) -> Iterator[str]:
    yield from _spell(order.resources)
    if order.model:
        yield f"model {order.model}"
    yield from (f"{skill} {level}" for skill, level in sorted(order.own_skills.items()))
    if order.team_id:
        yield f"team {order.team_id}"


def _spell(resources: Resources) -> Iterator[str]:
    yield from (f"{name} {amount}" for name, amount in resources.model_dump().items() if amount)


def tell_allocation(draft: Draft[Instances], instance: Instance, granted: CapacityGranted) -> None:
    """A node has room for it."""
    _tell(draft, instance.order, "allocation", f"node {granted.node_id} of pool {granted.pool}")


def tell_worker(draft: Draft[Instances], instance: Instance, started: WorkerStarted) -> None:
    """Its worker runs, and it is counted where it belongs."""
    details = (f"process {started.pid}" if started.pid else "inside the node", "", ", ".join(started.limits))
    for step, detail in zip(ON_NODE, details, strict=True):
        _tell(draft, instance.order, step, detail, started.steps.get(step, 0))
    order = instance.order
    pool = draft.state.warm_pool(order.workspace_id, order.profession) if order.on_demand else None
    kept = f", of {pool.order.least} to {pool.order.most}" if pool else ""
    _tell(draft, order, "pool", f"{'on demand' if order.on_demand else 'asked for'}{kept}")


def tell_failure(draft: Draft[Instances], instance: Instance, step: str, reason: str, *, retried: bool) -> None:
    """A step did not succeed."""
    order = instance.order
    draft.add(
        CreationStepFailed(
            workspace_id=order.workspace_id,
            instance_id=order.instance_id,
            step=step[:DETAIL_LENGTH_MAX],
            node_id=instance.node_id,
            reason=reason[:DETAIL_LENGTH_MAX],
            is_retried=retried,
        )
    )


def _tell(draft: Draft[Instances], order: InstanceAccepted, step: str, detail: str, at_ms: int = 0) -> None:
    draft.add(
        CreationStepTaken(
            workspace_id=order.workspace_id,
            instance_id=order.instance_id,
            step=step,
            at_ms=at_ms or draft.now_ms,
            detail=detail[:DETAIL_LENGTH_MAX],
        )
    )
