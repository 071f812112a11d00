"""Warm pools: so many instances of a profession are kept ready, more are made when tasks wait, and idle ones go again.

An instance of a warm pool is one that nobody asked for by name; those that somebody did are not counted.
"""

from bus.decider import Draft
from bus.record import Envelope
from services.factory.creation import (
    INSTANCES_MAX,
    NAME_LENGTH_MAX,
    is_sound,
    name_of,
    open_order,
    read_profession,
    warm_parts,
)
from services.factory.instances_state import Instance, Instances, WarmPool
from services.factory.qualification import resources_of, terms_of
from services.records.event import (
    InstanceAccepted,
    InstanceDraining,
    WarmPoolRefused,
    WarmPoolRequested,
    WarmPoolSet,
    WarmPoolStarved,
)
from services.records.permission import find_lack

WARM_MAX = 64
"""Most instances of one warm pool; all of them may be made in one decision."""

IDLE_MS_MIN = 1_000
IDLE_MS_MAX = 7 * 24 * 3_600_000

RETRY_MS = 1_000
"""From the first failure to the next try; twice as long after each further one."""

RETRY_MS_MAX = 60_000

REASON_LENGTH_MAX = 1_000


def set_pool(draft: Draft[Instances], heard: Envelope) -> None:
    """Somebody says how a warm pool is to be: what it lacks is made, what is too much is drained."""
    ask: WarmPoolRequested = heard.record
    if heard.id in draft.state.seen:
        return
    profession, lack = read_profession(draft, ask.profession, ask.profession_digest)
    pool = WarmPoolSet(
        workspace_id=ask.workspace_id,
        profession=ask.profession,
        ask_id=heard.id,
        least=ask.least,
        most=ask.most,
        idle_ms=ask.idle_ms,
        agent=ask.agent or (profession.agent if profession else ""),
        driver=ask.driver,
        pool=ask.pool,
        resources=ask.resources or resources_of(profession),
        model=ask.model,
        skills=profession.levels if profession else {},
        profession_digest=ask.profession_digest,
        terms=terms_of(profession),
    )
    if reason := find_lack(ask) or lack or _find_fault(pool):
        refusal = WarmPoolRefused(
            workspace_id=ask.workspace_id, profession=ask.profession, ask_id=heard.id, reason=reason
        )
        draft.add(refusal)
        return
    draft.add(pool)
    _drain_excess(draft, pool)
    _fill(draft, pool.workspace_id, pool.profession)


def _find_fault(pool: WarmPoolSet) -> str:
    if not pool.profession or len(pool.profession) > NAME_LENGTH_MAX:
        return f"a warm pool needs a profession, of at most {NAME_LENGTH_MAX} characters"
    if not 0 <= pool.least <= pool.most <= WARM_MAX:
        return f"min {pool.least} and max {pool.most}: they must be 0 <= min <= max <= {WARM_MAX}"
    if not IDLE_MS_MIN <= pool.idle_ms <= IDLE_MS_MAX:
        return f"an idle time of {pool.idle_ms} ms: it must lie between {IDLE_MS_MIN} and {IDLE_MS_MAX} ms"
    if not is_sound(pool.resources):
        return "an instance needs at least one slot, and less than nothing of no resource"
    return ""


def _drain_excess(draft: Draft[Instances], pool: WarmPoolSet) -> None:
    """The newest go first, after their tasks."""
    excess = _staying(draft.state, pool.workspace_id, pool.profession) - pool.most
    if excess <= 0:
        return
    ready = [
        (instance.order.instance_id, instance)
        for instance in draft.state.live.values()
        if instance.phase == "ready" and instance.order.on_demand and _is_of(instance, pool)
    ]
    for instance_id, instance in sorted(ready)[:excess]:
        reason = f"the warm pool of `{pool.profession}` may have {pool.most} from now on"
        draft.add(InstanceDraining(workspace_id=instance.order.workspace_id, instance_id=instance_id, reason=reason))


def _is_of(instance: Instance, pool: WarmPoolSet) -> bool:
    return (instance.order.workspace_id, instance.order.profession) == (pool.workspace_id, pool.profession)


def _staying(state: Instances, workspace_id: str, profession: str) -> int:
    return state.headcount(workspace_id).staying.get(profession, 0)


def may_go(state: Instances, instance: Instance) -> bool:
    """Whether an idle instance is not needed to keep a warm pool warm."""
    order = instance.order
    pool = state.warm_pool(order.workspace_id, order.profession)
    least = pool.order.least if pool else 0
    return order.on_demand and _staying(state, order.workspace_id, order.profession) > least


def fill(draft: Draft[Instances], order: InstanceAccepted, failure: str = "") -> None:
    """An instance is about to end, or could not be made: see what its warm pool lacks."""
    if order.on_demand:
        _fill(draft, order.workspace_id, order.profession, failure)


def fill_again(draft: Draft[Instances], name: str) -> None:
    """A warm pool that could not be filled is tried again."""
    pool = draft.state.warm[name].order
    _fill(draft, pool.workspace_id, pool.profession)


def _fill(draft: Draft[Instances], workspace_id: str, profession: str, failure: str = "") -> None:
    pool = draft.state.warm_pool(workspace_id, profession)
    if pool is None or pool.retried_at_ms > draft.now_ms:
        return
    missing = pool.order.least - _staying(draft.state, workspace_id, profession)
    if missing <= 0:
        return
    headcount = draft.state.headcount(workspace_id)
    room = INSTANCES_MAX - headcount.total
    if failure or room < missing:
        reason = failure or f"workspace `{workspace_id}` has {headcount.total} of {INSTANCES_MAX} instances"
        _starve(draft, pool, missing, reason)
    else:
        may_be = pool.order.most - headcount.on_demand.get(profession, 0)
        for number in range(min(missing, may_be)):
            # A deadline has the same name every time: its time makes the ids of each try differ.
            _make(draft, pool.order, f"{pool.retried_at_ms} {number}")


def _make(draft: Draft[Instances], pool: WarmPoolSet, place: str) -> None:
    instance_id = draft.new_id("warm", pool.workspace_id, pool.profession, place)
    order = InstanceAccepted(
        workspace_id=pool.workspace_id,
        instance_id=instance_id,
        ask_id=f"warm {instance_id}",
        profession=pool.profession,
        name=name_of(pool.profession, instance_id),
        agent=pool.agent,
        driver=pool.driver,
        pool=pool.pool,
        resources=pool.resources,
        on_demand=True,
    )
    open_order(draft, order.model_copy(update=warm_parts(pool)))


def _starve(draft: Draft[Instances], pool: WarmPool, missing: int, reason: str) -> None:
    draft.add(
        WarmPoolStarved(
            workspace_id=pool.order.workspace_id,
            profession=pool.order.profession,
            missing=missing,
            reason=reason[:REASON_LENGTH_MAX],
            retried_at_ms=draft.now_ms + min(RETRY_MS << min(pool.failures, 16), RETRY_MS_MAX),
        )
    )
