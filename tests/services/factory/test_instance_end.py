"""How an instance ends."""

import pytest

from bus.testing import NOW_MS, given
from services.factory.instances import INSTANCES
from services.factory.instances_state import (
    GRANT_WAIT_MS,
    STOP_WAIT_MS,
    STOP_WAIT_MS_MAX,
)
from services.records.event import (
    CapacityReleased,
    CreationStepFailed,
    InstanceDestroyRequested,
    InstanceDraining,
    InstanceEnded,
    InstanceRefused,
    InstanceStopping,
)
from tests.services.factory.one_instance import (
    ACCEPTED,
    DESTROY,
    DRAINING,
    FORCE,
    IDLE,
    VACATED,
    begun,
    deadline,
    ended,
    gone,
    granted,
    host_lost,
    ready,
    released,
    room,
    silent,
    started,
    starting,
    stopping,
    waiting,
    working,
)


def test_an_instance_drains_is_vacated_and_stopped_before_its_room_is_free() -> None:
    instances = working().when(DESTROY, record_id="d")
    instances.then(InstanceDraining(workspace_id="w", instance_id="i", reason="enough", ask_id="d"))
    instances.when(DESTROY, record_id="d").then()
    instances.when(VACATED).then(stopping())
    instances.when(VACATED).then()
    instances.when(gone()).then(released(), ended("stopped", "enough"))
    instances.when(gone()).then()
    instances.when(DESTROY, record_id="d").then()
    assert deadline(instances) is None


def test_forced_is_at_once() -> None:
    instances = working().when(FORCE).then_types(InstanceDraining, InstanceStopping)
    instances.when(VACATED).then()
    instances.when(gone()).then(released(), ended("stopped", "somebody asked for its end"))


def test_a_second_ask_for_the_end_is_answered_and_may_force_it() -> None:
    instances = working().when(DESTROY, record_id="d1").when(DESTROY, record_id="d2").then_types(InstanceDraining)
    instances.when(FORCE, record_id="d3").then_types(InstanceDraining, InstanceStopping)
    instances.when(FORCE, record_id="d4").then_types(InstanceDraining)


def test_an_instance_without_a_worker_ends_at_once() -> None:
    instances = waiting().when(DESTROY, record_id="d")
    instances.then(
        InstanceDraining(workspace_id="w", instance_id="i", reason="enough", ask_id="d"),
        released(),
        ended("stopped", "enough"),
    )
    instances.when(granted()).then()


def test_an_instance_that_starts_is_stopped_and_its_grant_kept_until_the_worker_is_gone() -> None:
    instances = begun().when(DESTROY).then_types(InstanceDraining, InstanceStopping)
    instances.when(started()).then()
    instances.when(gone()).then(released(), ended("stopped", "enough"))


@pytest.mark.parametrize("ask", [DESTROY, DESTROY.model_copy(update={"workspace_id": "other"})])
def test_what_does_not_live_cannot_be_destroyed(ask: InstanceDestroyRequested) -> None:
    instances = given(INSTANCES) if ask is DESTROY else working()
    instances.when(ask, record_id="d").then_types(InstanceRefused)
    instances.when(ask, record_id="d").then()


def test_only_an_idle_instance_made_on_demand_may_go() -> None:
    working(on_demand=True).when(IDLE).then_types(InstanceDraining).when(IDLE).then()
    working(on_demand=False).when(IDLE).then()


@pytest.mark.parametrize("draining", [False, True])
def test_an_instance_whose_worker_dies_is_lost(draining: bool) -> None:
    instances = working().when(DESTROY) if draining else working()
    instances.when(gone()).then(released(), ended("lost", "it fell"))


def test_an_instance_whose_host_is_lost_is_lost_with_its_grant() -> None:
    instances = working().when(host_lost()).then(ended("lost", "node n1 is lost: power"))
    instances.when(gone()).then()
    instances.when(host_lost()).then()


def test_a_silent_worker_is_stopped_before_the_instance_counts_as_lost() -> None:
    reason = "its worker was silent for too long (last seen at 5)"
    instances = working().when(silent(session="old")).then().when(silent(incarnation=0)).then()
    instances.when(silent()).then(stopping("lost", reason))
    instances.when(silent()).then()
    instances.when(gone()).then(released(), ended("lost", reason))


def test_a_host_that_is_lost_while_it_stops_a_worker_ends_the_instance_as_was_meant() -> None:
    instances = working().when(FORCE).when(host_lost())
    instances.then(ended("stopped", "somebody asked for its end"))


def test_a_node_that_does_not_stop_a_worker_is_told_again_ever_less_often() -> None:
    instances = given(INSTANCES, ACCEPTED, room(), starting(), ready(), DRAINING, stopping())
    waits, before = [], NOW_MS
    for _ in range(9):
        instances.when_deadline().then(stopping())
        waits.append(instances.now_ms - before)
        before = instances.now_ms
    assert waits[:3] == [STOP_WAIT_MS, 2 * STOP_WAIT_MS, 4 * STOP_WAIT_MS]
    assert waits[-1] == STOP_WAIT_MS_MAX
    instances.when(gone()).then(released(), ended("stopped", "enough"))


def test_an_overdue_deadline_acts_once() -> None:
    instances = waiting().at(NOW_MS + 10 * GRANT_WAIT_MS).when_deadline()
    instances.then_types(CapacityReleased, CreationStepFailed, InstanceEnded)
    assert deadline(instances) is None
