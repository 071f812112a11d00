"""Warm pools: kept filled, never above their most, drained when idle, patient when nothing can be made."""

import pytest

from bus.testing import NOW_MS, Scenario, given
from services.factory import creation
from services.factory.instances import INSTANCES
from services.factory.instances_state import Instances
from services.factory.warm import RETRY_MS, RETRY_MS_MAX, WARM_MAX
from services.records.event import (
    CapacityGranted,
    CapacityRefused,
    CapacityRequested,
    InstanceAccepted,
    InstanceDestroyRequested,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRefused,
    InstanceStopping,
    WarmPoolRefused,
    WarmPoolRequested,
    WarmPoolSet,
    WarmPoolStarved,
    WorkerGone,
    WorkerStarted,
)
from services.records.task import InstanceIdle, InstanceNeeded, InstanceVacated

ASK = WarmPoolRequested(workspace_id="w", profession="qa_engineer", least=2, most=3, idle_ms=5_000, agent="script")


def asked(least: int = 2, most: int = 3, ask_id: str = "set") -> Scenario[Instances]:
    return size(given(INSTANCES), least, most, ask_id)


def size(instances: Scenario[Instances], least: int, most: int, ask_id: str) -> Scenario[Instances]:
    return instances.when(ASK.model_copy(update={"least": least, "most": most}), record_id=ask_id)


def made(instances: Scenario[Instances]) -> list[str]:
    return [fact.instance_id for fact in instances.facts if isinstance(fact, InstanceAccepted)]


def start(instances: Scenario[Instances], instance_id: str) -> None:
    """Give it room and a worker."""
    grant = instances.state.live[instance_id].grant_id
    instances.when(
        CapacityGranted(
            pool="default",
            workspace_id="w",
            instance_id=instance_id,
            grant_id=grant,
            node_id="n",
            node_session="s",
            resources=instances.state.live[instance_id].order.resources,
        )
    )
    instances.when(
        WorkerStarted(workspace_id="w", instance_id=instance_id, node_id="n", node_session="s", incarnation=1)
    )
    assert isinstance(instances.facts[-1], InstanceReady)


def refused(instances: Scenario[Instances], instance_id: str) -> CapacityRefused:
    grant = instances.state.live[instance_id].grant_id
    return CapacityRefused(pool="default", workspace_id="w", instance_id=instance_id, grant_id=grant, reason="full")


def filled(least: int = 2, most: int = 3) -> tuple[Scenario[Instances], list[str]]:
    instances = asked(least, most)
    names = made(instances)
    for name in names:
        start(instances, name)
    return instances, names


def idle(name: str) -> InstanceIdle:
    return InstanceIdle(workspace_id="w", instance_id=name, idle_ms=5_000)


def test_a_pool_makes_its_least_at_once_and_once() -> None:
    instances = asked()
    assert isinstance(instances.facts[0], WarmPoolSet)
    assert len(made(instances)) == 2
    orders = [fact for fact in instances.facts if isinstance(fact, InstanceAccepted)]
    assert {(order.on_demand, order.agent) for order in orders} == {(True, "script")}
    size(instances, 2, 3, "set").then()


@pytest.mark.parametrize(("least", "most"), [(3, 2), (-1, 2), (0, WARM_MAX + 1)])
def test_sizes_that_make_no_sense_are_refused(least: int, most: int) -> None:
    asked(least, most).then_types(WarmPoolRefused)


def test_the_largest_pool_is_made_in_one_decision() -> None:
    assert len(made(asked(WARM_MAX, WARM_MAX))) == WARM_MAX


@pytest.mark.parametrize("end", ["destroy", "lost"])
def test_one_that_is_about_to_end_is_replaced_before_it_has_ended(end: str) -> None:
    instances, names = filled()
    if end == "destroy":
        instances.when(InstanceDestroyRequested(workspace_id="w", instance_id=names[0]))
    else:
        gone = WorkerGone(workspace_id="w", instance_id=names[0], node_id="n", node_session="s", incarnation=1)
        instances.when(gone)
    assert len(made(instances)) == 1


def test_above_its_least_idle_ones_go_and_no_more() -> None:
    instances, names = filled()
    instances.when(InstanceNeeded(workspace_id="w", need_id="need", profession="qa_engineer"))
    (third,) = made(instances)
    start(instances, third)
    instances.when(idle(names[0])).then_types(InstanceDraining)
    instances.when(idle(names[1])).then()
    instances.when(idle(third)).then()
    instances.when(InstanceVacated(workspace_id="w", instance_id=names[0])).then_types(InstanceStopping)


def test_needs_are_met_up_to_its_most() -> None:
    instances, _ = filled(least=1, most=2)
    instances.when(InstanceNeeded(workspace_id="w", need_id="a", profession="qa_engineer"))
    assert len(made(instances)) == 1
    instances.when(InstanceNeeded(workspace_id="w", need_id="b", profession="qa_engineer")).then_types(InstanceRefused)


def test_a_smaller_pool_drains_what_is_too_much_and_a_larger_one_makes_more() -> None:
    instances, _ = filled(3, 3)
    size(instances, 1, 1, "smaller").then_types(WarmPoolSet, InstanceDraining, InstanceDraining)
    size(instances, 3, 5, "larger")
    assert len(made(instances)) == 2


def test_what_cannot_be_made_is_tried_again_later_and_later() -> None:
    instances = asked(1, 1)
    waits = []
    for _ in range(9):
        (name,) = instances.state.live
        instances.when(refused(instances, name))
        starved = instances.facts[-1]
        assert isinstance(starved, WarmPoolStarved)
        assert (starved.missing, starved.reason) == (1, "full")
        waits.append(starved.retried_at_ms - instances.now_ms)
        instances.when_deadline()
        assert len(made(instances)) == 1
    assert waits[:3] == [RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS]
    assert waits[-1] == RETRY_MS_MAX


def test_many_failures_at_once_wait_once() -> None:
    instances = asked(3, 3)
    for name in made(instances):
        instances.when(refused(instances, name))
    assert instances.state.warm_pool("w", "qa_engineer").failures == 1  # type: ignore[union-attr]
    instances.when_deadline()
    assert len(made(instances)) == 3
    assert instances.now_ms == NOW_MS + RETRY_MS


def test_a_full_workspace_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.factory.warm.INSTANCES_MAX", 1)
    instances = asked(2, 2).then_types(WarmPoolSet, WarmPoolStarved)
    instances.when_deadline().then_types(WarmPoolStarved)
    assert creation.INSTANCES_MAX == 200


def test_a_smaller_pool_is_not_looked_at_again() -> None:
    instances = asked(1, 1)
    (name,) = made(instances)
    instances.when(refused(instances, name)).then_types(type(instances.facts[0]), InstanceEnded, WarmPoolStarved)
    size(instances, 0, 0, "none").then_types(WarmPoolSet)
    assert INSTANCES.deadlines(instances.state).first() is None


def test_instances_that_somebody_asked_for_by_name_are_not_counted() -> None:
    from services.records.event import InstanceRequested

    instances = given(INSTANCES).when(InstanceRequested(workspace_id="w", profession="qa_engineer"))
    size(instances, 1, 1, "set")
    assert len(made(instances)) == 1
    assert sum(isinstance(fact, CapacityRequested) for fact in instances.facts) == 1
