"""The life of an instance, from the ask for it to its end."""

import pytest

from bus.record import Record
from bus.testing import NOW_MS, Scenario, given
from services.factory import creation
from services.factory.creation import INSTANCES_MAX, ON_DEMAND_MAX
from services.factory.ending import GRANTS_MAX
from services.factory.instances import INSTANCES
from services.factory.instances_state import (
    GRANT_WAIT_MS,
    START_WAIT_MS,
    STOP_WAIT_MS,
    STOP_WAIT_MS_MAX,
    Instances,
)
from services.records.content import Resources
from services.records.event import (
    CapacityGranted,
    CapacityRefused,
    CapacityReleased,
    CapacityRequested,
    HostLost,
    InstanceAccepted,
    InstanceDestroyRequested,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRefused,
    InstanceRequested,
    InstanceStarting,
    InstanceStopping,
    SubjectLost,
    WorkerGone,
    WorkerStarted,
)
from services.records.task import InstanceIdle, InstanceNeeded, InstanceVacated

LIGHT = Resources(cpu_millis=1000, memory_mib=2048, storage_mib=10240, api_calls_per_minute=200, slots=3)
ASK = InstanceRequested(workspace_id="w", profession="qa_engineer", name="tess", skills={"testing": 7}, model="m")
DESTROY = InstanceDestroyRequested(workspace_id="w", instance_id="i", reason="enough")
FORCE = InstanceDestroyRequested(workspace_id="w", instance_id="i", force=True)
NEED = InstanceNeeded(workspace_id="w", need_id="need 1", profession="qa_engineer", agent="script")
VACATED = InstanceVacated(workspace_id="w", instance_id="i")
IDLE = InstanceIdle(workspace_id="w", instance_id="i", idle_ms=60_000)

# An instance `i` at the points of its life.
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


# Creation.


def test_an_instance_is_accepted_and_room_asked_for_in_one_decision() -> None:
    instances = given(INSTANCES).when(ASK, record_id="ask").then_types(InstanceAccepted, CapacityRequested)
    order, request = instances.facts
    assert isinstance(order, InstanceAccepted)
    assert isinstance(request, CapacityRequested)
    assert (order.ask_id, order.name, order.resources, dict(order.skills)) == ("ask", "tess", LIGHT, {"testing": 7})
    assert (request.instance_id, request.resources) == (order.instance_id, LIGHT)
    assert not order.on_demand


def test_the_same_ask_twice_makes_one_instance_of_an_id_that_only_the_ask_decides() -> None:
    instances = given(INSTANCES).when(ASK, record_id="ask")
    order = instances.facts[0]
    instances.when(ASK, record_id="ask").then()
    assert (
        given(INSTANCES, ACCEPTED.model_copy(update={"ask_id": "other"})).when(ASK, record_id="ask").facts[0] == order
    )


def test_what_the_ask_says_goes_before_the_class() -> None:
    own = Resources(cpu_millis=1, memory_mib=1, slots=1)
    instances = given(INSTANCES).when(ASK.model_copy(update={"resources": own, "name": ""}), record_id="ask")
    order = instances.facts[0]
    assert isinstance(order, InstanceAccepted)
    assert order.resources == own
    assert order.name == f"qa_engineer-{order.instance_id[:6]}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"profession": ""}, "needs a profession"),
        ({"name": "n" * 201}, "longer than 200"),
        ({"resources": Resources(memory_mib=-1)}, "less than nothing"),
        ({"resources": Resources(slots=0)}, "at least one slot"),
    ],
)
def test_an_unsound_ask_is_refused_once(change: dict[str, object], reason: str) -> None:
    ask = ASK.model_copy(update=change)
    instances = given(INSTANCES).when(ask, record_id="ask").then_types(InstanceRefused)
    fact = instances.facts[0]
    assert isinstance(fact, InstanceRefused)
    assert fact.ask_id == "ask"
    assert reason in fact.reason
    instances.when(ask, record_id="ask").then()


def test_a_workspace_has_a_most_of_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "INSTANCES_MAX", 2)
    instances = given(INSTANCES)
    for number in range(3):
        instances.when(ASK, record_id=f"ask {number}")
    instances.then_types(InstanceRefused)
    instances.when(ASK.model_copy(update={"workspace_id": "v"})).then_types(InstanceAccepted, CapacityRequested)
    assert INSTANCES_MAX == 200


def test_a_need_makes_an_instance_on_demand_once() -> None:
    instances = given(INSTANCES).when(NEED, record_id="a").then_types(InstanceAccepted, CapacityRequested)
    order = instances.facts[0]
    assert isinstance(order, InstanceAccepted)
    assert (order.ask_id, order.agent, order.resources, order.on_demand) == ("need 1", "script", LIGHT, True)
    instances.when(NEED, record_id="a").then()
    instances.when(NEED, record_id="b").then()


def test_more_on_demand_than_allowed_is_refused_until_one_has_ended() -> None:
    instances = given(INSTANCES)
    for number in range(ON_DEMAND_MAX):
        instances.when(NEED.model_copy(update={"need_id": f"n{number}"}), record_id=f"n{number}")
        instances.then_types(InstanceAccepted, CapacityRequested)
    first = min(instances.state.live)
    instances.when(NEED.model_copy(update={"need_id": "more"})).then_types(InstanceRefused)
    instances.when(NEED.model_copy(update={"need_id": "x", "profession": "other"})).then_types(
        InstanceAccepted, CapacityRequested
    )
    instances.when(DESTROY.model_copy(update={"instance_id": first}))
    instances.when(NEED.model_copy(update={"need_id": "again"})).then_types(InstanceAccepted, CapacityRequested)


def test_a_grant_starts_the_worker_and_its_report_makes_the_instance_ready() -> None:
    instances = waiting().when(granted()).then(starting())
    instances.when(granted()).then()
    instances.when(started()).then(ready())
    instances.when(started()).then()
    assert deadline(instances) is None


@pytest.mark.parametrize(
    "record",
    [
        started(session="old"),
        started(incarnation=2),
        gone(session="old"),
        gone(incarnation=2),
        gone(session=""),
        host_lost("g0"),
        granted("g0"),
        silent(),
        VACATED,
        IDLE,
        InstanceVacated(workspace_id="other", instance_id="i"),
    ],
)
def test_what_does_not_concern_an_instance_that_starts_changes_nothing(record: Record) -> None:
    begun().when(record).then()


def test_a_refused_grant_is_a_failure_at_that_step() -> None:
    refused = CapacityRefused(pool="default", workspace_id="w", instance_id="i", grant_id="g1", reason="no room")
    instances = waiting().when(refused).then(ended("failed", "no room", "grant"))
    instances.when(refused).then()
    assert (dict(instances.state.live), dict(instances.state.headcounts)) == ({}, {})
    assert deadline(instances) is None


def test_a_pool_that_does_not_answer_fails_the_creation_and_withdraws_the_request() -> None:
    instances = waiting().when_deadline()
    instances.then(released(), ended("failed", "pool `default` gave no answer within 60 s", "grant"))
    assert instances.now_ms == NOW_MS + GRANT_WAIT_MS
    instances.when(granted()).then()


def test_a_node_that_does_not_answer_fails_the_creation_and_the_worker_is_stopped_first() -> None:
    reason = "node n1 did not report the worker within 30 s"
    instances = begun().when_deadline().then(stopping("failed", reason, "start"))
    assert instances.now_ms == NOW_MS + START_WAIT_MS
    instances.when(started()).then()
    instances.when(gone()).then(released(), ended("failed", reason, "start"))


def test_a_creation_that_fails_is_tried_elsewhere_with_a_new_incarnation() -> None:
    instances = begun().when(gone(step="hello")).then_types(CapacityReleased, CapacityRequested)
    request = instances.facts[1]
    assert isinstance(request, CapacityRequested)
    assert request.avoid == ("n1",)
    assert request.grant_id != "g1"
    instances.when(gone(step="hello")).then()
    instances.when(granted()).then()
    instances.when(granted(request.grant_id, "n2")).then(starting(request.grant_id, "n2", incarnation=2))
    instances.when(started()).then()
    instances.when(started("n2-session", 2)).then_types(InstanceReady)


@pytest.mark.parametrize("by_host", [True, False])
def test_a_creation_fails_after_its_last_try_and_holds_nothing(by_host: bool) -> None:
    instances = waiting()
    asked, closed, grant = 1, 0, "g1"
    while instances.state.live:
        incarnation = instances.state.live["i"].incarnation + 1
        instances.when(granted(grant))
        instances.when(host_lost(grant) if by_host else gone(incarnation=incarnation, step="init", reason="no file"))
        closed += by_host or instances.facts[0] == released(grant)
        for fact in instances.facts:
            if isinstance(fact, CapacityRequested):
                grant, asked = fact.grant_id, asked + 1
    assert (asked, closed) == (GRANTS_MAX, GRANTS_MAX)
    reason = "node n1 is lost: power" if by_host else "no file"
    assert instances.facts[-1] == ended("failed", f"{reason} (try 3 of 3)", "start" if by_host else "init")


# Its end.


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
    instances = waiting().at(NOW_MS + 10 * GRANT_WAIT_MS).when_deadline().then_types(CapacityReleased, InstanceEnded)
    assert deadline(instances) is None
