"""How an instance comes to be."""

import pytest

from bus.record import Record
from bus.testing import NOW_MS, given
from services.factory import creation
from services.factory.creation import INSTANCES_MAX, ON_DEMAND_MAX
from services.factory.ending import GRANTS_MAX
from services.factory.instances import INSTANCES
from services.factory.instances_state import (
    GRANT_WAIT_MS,
    START_WAIT_MS,
)
from services.records.content import Resources
from services.records.event import (
    CapacityRefused,
    CapacityReleased,
    CapacityRequested,
    CreationStepFailed,
    InstanceAccepted,
    InstanceReady,
    InstanceRefused,
)
from services.records.task import InstanceVacated
from tests.services.factory.one_instance import (
    ACCEPTED,
    ASK,
    DESTROY,
    IDLE,
    LIGHT,
    NEED,
    ORDERED,
    VACATED,
    begun,
    deadline,
    ended,
    failed,
    gone,
    granted,
    host_lost,
    others,
    ready,
    released,
    silent,
    started,
    starting,
    steps,
    stopping,
    waiting,
)


def test_an_instance_is_accepted_and_room_asked_for_in_one_decision() -> None:
    instances = given(INSTANCES).when(ASK, record_id="ask").then_types(InstanceAccepted, *ORDERED, CapacityRequested)
    order, *_, request = instances.facts
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
    instances.when(ASK.model_copy(update={"workspace_id": "v"})).then_types(
        InstanceAccepted, *ORDERED, CapacityRequested
    )
    assert INSTANCES_MAX == 200


def test_a_need_makes_an_instance_on_demand_once() -> None:
    instances = given(INSTANCES).when(NEED, record_id="a").then_types(InstanceAccepted, *ORDERED, CapacityRequested)
    order = instances.facts[0]
    assert isinstance(order, InstanceAccepted)
    assert (order.ask_id, order.agent, order.resources, order.on_demand) == ("need 1", "script", LIGHT, True)
    instances.when(NEED, record_id="a").then()
    instances.when(NEED, record_id="b").then()


def test_more_on_demand_than_allowed_is_refused_until_one_has_ended() -> None:
    instances = given(INSTANCES)
    for number in range(ON_DEMAND_MAX):
        instances.when(NEED.model_copy(update={"need_id": f"n{number}"}), record_id=f"n{number}")
        instances.then_types(InstanceAccepted, *ORDERED, CapacityRequested)
    first = min(instances.state.live)
    instances.when(NEED.model_copy(update={"need_id": "more"})).then_types(InstanceRefused)
    instances.when(NEED.model_copy(update={"need_id": "x", "profession": "other"})).then_types(
        InstanceAccepted, *ORDERED, CapacityRequested
    )
    instances.when(DESTROY.model_copy(update={"instance_id": first}))
    instances.when(NEED.model_copy(update={"need_id": "again"})).then_types(
        InstanceAccepted, *ORDERED, CapacityRequested
    )


def test_a_grant_starts_the_worker_and_its_report_makes_the_instance_ready() -> None:
    instances = waiting().when(granted())
    assert (steps(instances.facts), others(instances.facts)) == (["allocation"], [starting()])
    instances.when(granted()).then()
    instances.when(started().model_copy(update={"pid": 7, "steps": {"initialisation": 5}}))
    assert steps(instances.facts) == ["initialisation", "registration", "health_check", "pool"]
    assert [fact.at_ms for fact in instances.facts[:2]] == [5, NOW_MS]  # type: ignore[attr-defined]
    assert others(instances.facts) == [ready()]
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
    instances = waiting().when(refused)
    instances.then(failed("allocation", "no room", retried=False, node=""), ended("failed", "no room", "grant"))
    instances.when(refused).then()
    assert (dict(instances.state.live), dict(instances.state.headcounts)) == ({}, {})
    assert deadline(instances) is None


def test_a_pool_that_does_not_answer_fails_the_creation_and_withdraws_the_request() -> None:
    instances = waiting().when_deadline()
    reason = "pool `default` gave no answer within 60 s"
    told = failed("allocation", reason, retried=False, node="")
    instances.then(released(), told, ended("failed", reason, "grant"))
    assert instances.now_ms == NOW_MS + GRANT_WAIT_MS
    instances.when(granted()).then()


def test_a_node_that_does_not_answer_fails_the_creation_and_the_worker_is_stopped_first() -> None:
    reason = "node n1 did not report the worker within 30 s"
    told = failed("start", reason, retried=False)
    instances = begun().when_deadline().then(told, stopping("failed", reason, "start"))
    assert instances.now_ms == NOW_MS + START_WAIT_MS
    instances.when(started()).then()
    instances.when(gone()).then(released(), ended("failed", reason, "start"))


def test_a_creation_that_fails_is_tried_elsewhere_with_a_new_incarnation() -> None:
    instances = begun().when(gone(step="hello")).then_types(CapacityReleased, CreationStepFailed, CapacityRequested)
    request = instances.facts[2]
    assert instances.facts[1] == failed("hello", "it fell", retried=True)
    assert isinstance(request, CapacityRequested)
    assert request.avoid == ("n1",)
    assert request.grant_id != "g1"
    instances.when(gone(step="hello")).then()
    instances.when(granted()).then()
    instances.when(granted(request.grant_id, "n2"))
    assert others(instances.facts) == [starting(request.grant_id, "n2", incarnation=2)]
    instances.when(started()).then()
    instances.when(started("n2-session", 2))
    assert [type(fact) for fact in others(instances.facts)] == [InstanceReady]


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
