"""The pool: joining and losing nodes, granting and refusing capacity."""

import pytest

from bus.decider import DECISION_RECORDS_MAX
from bus.record import Record
from bus.testing import NOW_MS, Scenario, given
from services.allocator.pool import LOSSES_MAX, NODE_WAIT_MS, NODES_MAX, POOL, QUEUE_MAX
from services.allocator.pool_state import Pools
from services.records.content import Resources
from services.records.event import (
    CapacityFreed,
    CapacityGranted,
    CapacityQueued,
    CapacityRefused,
    CapacityReleased,
    CapacityRequested,
    HostLost,
    NodeAccepted,
    NodeCordoned,
    NodeCordonRequested,
    NodeJoined,
    NodeLeft,
    NodeLost,
    NodeRefused,
    SubjectLost,
    pool_key,
)

LARGE = Resources(cpu_millis=4000, memory_mib=8000, slots=10)
SMALL = Resources(cpu_millis=1000, memory_mib=2000, slots=2)


def joined(node: str = "n1", session: str = "s1", capacity: Resources = LARGE, **more: object) -> NodeJoined:
    return NodeJoined.model_validate(
        {"pool": "default", "node_id": node, "node_session": session, "capacity": capacity, **more}
    )


def accepted(node: str = "n1", session: str = "s1", capacity: Resources = LARGE, **more: object) -> NodeAccepted:
    return NodeAccepted.model_validate(
        {"pool": "default", "node_id": node, "node_session": session, "capacity": capacity, **more}
    )


def requested(grant: str = "g1", resources: Resources = SMALL, **more: object) -> CapacityRequested:
    return CapacityRequested.model_validate(
        {
            "pool": "default",
            "workspace_id": "w",
            "instance_id": f"i-{grant}",
            "grant_id": grant,
            "resources": resources,
            **more,
        }
    )


def granted(grant: str = "g1", node: str = "n1", session: str = "s1", resources: Resources = SMALL) -> CapacityGranted:
    return CapacityGranted(
        pool="default",
        workspace_id="w",
        instance_id=f"i-{grant}",
        grant_id=grant,
        node_id=node,
        node_session=session,
        resources=resources,
    )


def released(grant: str = "g1") -> CapacityReleased:
    return CapacityReleased(pool="default", workspace_id="w", instance_id=f"i-{grant}", grant_id=grant)


def host_lost(grant: str, reason: str, session: str = "s1") -> HostLost:
    return HostLost(
        pool="default",
        workspace_id="w",
        instance_id=f"i-{grant}",
        grant_id=grant,
        node_id="n1",
        node_session=session,
        reason=reason,
    )


def silent(node: str = "n1", session: str = "s1") -> SubjectLost:
    return SubjectLost(subject=f"node:{node}", owner_key=pool_key("default"), session=session, evidence="5 s")


def refusal(scenario: Scenario[Pools]) -> str:
    scenario.then_types(CapacityRefused)
    fact = scenario.facts[0]
    assert isinstance(fact, CapacityRefused)
    return fact.reason


# Nodes.


def test_a_node_that_joins_is_accepted_once() -> None:
    pool = given(POOL).when(joined(drivers=("process",))).then(accepted(drivers=("process",)))
    pool.when(joined(drivers=("process",))).then()


@pytest.mark.parametrize("capacity", [Resources(slots=0), Resources(memory_mib=-1)])
def test_a_node_without_slots_or_with_less_than_nothing_is_refused_once(capacity: Resources) -> None:
    pool = given(POOL).when(joined(capacity=capacity)).then_types(NodeRefused)
    pool.when(joined(capacity=capacity)).then()


def test_a_pool_has_a_most_of_nodes() -> None:
    pool = given(POOL, *(accepted(f"n{number}", f"s{number}") for number in range(NODES_MAX)))
    pool.when(joined("more", "more")).then_types(NodeRefused)
    pool.when(joined("n0", "anew")).then_types(NodeLost, NodeAccepted)


def test_a_node_that_rejoins_ends_its_old_session_and_the_grants_on_it() -> None:
    reason = "the node joined anew as session s2"
    pool = given(POOL, accepted(), granted("g1"), granted("g2")).when(joined(session="s2"))
    pool.then(
        NodeLost(pool="default", node_id="n1", node_session="s1", reason=reason),
        accepted(session="s2"),
        host_lost("g1", reason),
        host_lost("g2", reason),
    )
    assert list(pool.state.sessions) == ["s2"]
    assert pool.state.sessions["s2"].free == LARGE


def test_a_session_that_is_over_does_not_come_back() -> None:
    pool = given(POOL, accepted()).when(joined(session="s2")).when(joined(session="s1")).then()
    pool.when(NodeLeft(pool="default", node_id="n1", node_session="s1")).then()
    pool.when(silent(session="s1")).then()
    assert pool.state.session("default", "n1") == "s2"


def test_a_node_that_leaves_takes_its_grants_along() -> None:
    left = NodeLeft(pool="default", node_id="n1", node_session="s1", reason="the host goes down")
    pool = given(POOL, accepted(), granted()).when(left)
    pool.then_types(NodeLost, HostLost).when(left).then()
    assert not pool.state.sessions


def test_a_silent_node_is_lost() -> None:
    given(POOL, accepted(), granted()).when(silent()).then_types(NodeLost, HostLost)


def test_a_silent_instance_is_not_the_pools_business() -> None:
    lost = SubjectLost(subject="instance:n1", owner_key="w", session="s1")
    given(POOL, accepted()).when(lost).then()


def test_the_loss_of_many_grants_goes_on_at_a_deadline() -> None:
    huge = Resources(slots=2000)
    names = [f"g{number:04}" for number in range(1000)]
    pool = given(POOL, accepted(capacity=huge), *(granted(name, resources=Resources()) for name in names))
    lost = list(pool.when(silent()).facts)
    steps = [len(lost)]
    seen_deadlines = set()
    while first := POOL.deadlines(pool.state).first():
        assert first not in seen_deadlines, "ids derive from a deadline's name and time, so no two may be the same"
        seen_deadlines.add(first)
        assert first[0] <= pool.now_ms
        lost += pool.when_deadline().facts
        steps.append(len(pool.facts))
    assert steps == [LOSSES_MAX + 1, LOSSES_MAX, 1000 - 2 * LOSSES_MAX]
    assert [fact.grant_id for fact in lost if isinstance(fact, HostLost)] == names
    assert (dict(pool.state.sessions), dict(pool.state.grants)) == ({}, {})


def test_a_grant_of_a_lost_session_that_is_released_meanwhile_is_not_lost_too() -> None:
    names = [f"g{number:04}" for number in range(LOSSES_MAX + 1)]
    facts = (accepted(capacity=Resources(slots=1000)), *(granted(name, resources=Resources()) for name in names))
    pool = given(POOL, *facts).when(silent())
    pool.when(released(names[-1])).then_types(CapacityFreed)
    assert POOL.deadlines(pool.state).first() is None
    assert not pool.state.sessions


def test_a_decision_on_joining_stays_within_its_limit_whatever_waits_and_is_lost() -> None:
    names = [f"g{number:04}" for number in range(500)]
    full = (accepted(capacity=Resources(slots=500)), *(granted(name, resources=Resources()) for name in names))
    pool = given(POOL, *full).when(joined(session="s2", capacity=Resources(slots=500)))
    assert len(pool.facts) <= DECISION_RECORDS_MAX
    waiting = given(POOL)
    for number in range(QUEUE_MAX):
        waiting.when(requested(f"q{number}", Resources()))
    waiting.when(joined(capacity=Resources(slots=500)))
    waiting.then_types(NodeAccepted, *[CapacityGranted] * QUEUE_MAX)


# Requests.


def test_a_request_that_fits_is_granted_once() -> None:
    pool = given(POOL, accepted()).when(requested()).then(granted())
    pool.when(requested()).then()
    assert pool.state.sessions["s1"].free == Resources(cpu_millis=3000, memory_mib=6000, slots=8)


def test_the_tightest_node_with_room_is_taken_and_the_first_of_equals() -> None:
    nodes = (accepted("b", "sb"), accepted("a", "sa"), accepted("c", "sc", Resources(cpu_millis=500, slots=9)))
    pool = given(POOL, *nodes).when(requested("g1")).then(granted("g1", "a", "sa"))
    pool.when(requested("g2")).then(granted("g2", "a", "sa"))
    pool.when(requested("g3", LARGE)).then(granted("g3", "b", "sb", LARGE))


def test_a_node_where_the_creation_failed_is_taken_only_if_no_other_has_room() -> None:
    pool = given(POOL, accepted("a", "sa"), accepted("b", "sb"))
    pool.when(requested("g1", avoid=("a",))).then(granted("g1", "b", "sb"))
    given(POOL, accepted("a", "sa")).when(requested("g1", avoid=("a",))).then(granted("g1", "a", "sa"))


def test_a_refusal_says_what_is_missing_and_what_would_fit() -> None:
    pool = given(POOL, accepted("a", "sa"), accepted("b", "sb", SMALL))
    need = Resources(cpu_millis=5000, memory_mib=1000, slots=12)
    assert refusal(pool.when(requested("g1", need))) == (
        "no node of pool `default` has room: the nearest, a, lacks cpu_millis 1000, slots 2; "
        "cpu_millis 4000, memory_mib 8000, slots 10 would fit"
    )
    pool.when(requested("g1", need)).then()
    pool.when(requested("g2", LARGE)).then(granted("g2", "a", "sa", LARGE))
    pool.when(requested("g3", SMALL)).then(granted("g3", "b", "sb", SMALL))
    assert refusal(pool.when(requested("g4", SMALL))).endswith("; nothing would fit")


def test_a_node_that_does_not_offer_the_driver_is_left_out() -> None:
    pool = given(POOL, accepted("a", "sa", drivers=("process", "inline")), accepted("b", "sb", drivers=("docker",)))
    pool.when(requested("g1", driver="docker")).then(granted("g1", "b", "sb"))
    reason = refusal(pool.when(requested("g2", driver="moon")))
    assert reason == ("no node of pool `default` offers the driver `moon`; offered are docker, inline, process")


def test_a_request_for_less_than_nothing_is_refused() -> None:
    assert "nothing negative" in refusal(given(POOL, accepted()).when(requested("g1", Resources(cpu_millis=-1))))
    assert "at least one slot" in refusal(given(POOL, accepted()).when(requested("g2", Resources(slots=0))))


def test_pools_of_one_partition_are_apart() -> None:
    pool = given(POOL, accepted())
    pool.when(requested(pool="other")).then_types(CapacityQueued)
    pool.when(joined("m", "sm", pool="other")).then_types(NodeAccepted, CapacityGranted)
    assert [fact.pool for fact in pool.facts if isinstance(fact, CapacityGranted)] == ["other"]


# Cordons.


def test_a_cordoned_node_gets_no_grants_until_it_is_open_again() -> None:
    close = NodeCordonRequested(pool="default", node_id="n1", reason="new disk")
    pool = given(POOL, accepted()).when(close, record_id="ask 1")
    pool.then(NodeCordoned(pool="default", node_id="n1", reason="new disk", ask_id="ask 1"))
    pool.when(close, record_id="ask 1").then()
    pool.when(close, record_id="ask 2").then_types(NodeCordoned)
    assert "cordoned" in refusal(pool.when(requested("g1")))
    pool.when(joined(session="s2")).then_types(NodeLost, NodeAccepted)
    assert "cordoned" in refusal(pool.when(requested("g2")))
    pool.when(NodeCordonRequested(pool="default", node_id="n1", cordoned=False)).then_types(NodeCordoned)
    pool.when(requested("g3")).then(granted("g3", session="s2"))


def test_a_node_that_is_not_there_cannot_be_cordoned() -> None:
    ask = NodeCordonRequested(pool="default", node_id="n9")
    pool = given(POOL, accepted()).when(ask, record_id="ask").then_types(NodeRefused)
    pool.when(ask, record_id="ask").then()


# The queue.


def test_without_a_node_a_request_waits_for_one() -> None:
    pool = given(POOL).when(requested()).then_types(CapacityQueued)
    pool.when(requested()).then()
    pool.at(NOW_MS + 500).when(joined()).then(accepted(), granted())
    assert POOL.deadlines(pool.state).first() is None


def test_a_request_waits_no_longer_than_it_may() -> None:
    pool = given(POOL).when(requested()).when_deadline()
    assert pool.now_ms == NOW_MS + NODE_WAIT_MS
    assert refusal(pool) == "no node has joined pool `default` within 30 s"
    assert POOL.deadlines(pool.state).first() is None
    pool.when(requested()).then()


def test_overdue_waits_end_one_by_one_after_a_long_sleep() -> None:
    pool = given(POOL).when(requested("g1")).at(NOW_MS + 10).when(requested("g2")).at(NOW_MS + 10 * NODE_WAIT_MS)
    assert [refusal(pool.when_deadline()) and pool.now_ms for _ in range(2)] == [NOW_MS + 10 * NODE_WAIT_MS] * 2
    assert POOL.deadlines(pool.state).first() is None


def test_a_waiting_request_that_the_first_node_cannot_take_waits_for_the_next() -> None:
    pool = given(POOL).when(requested("g1", LARGE)).when(requested("g2"))
    pool.when(joined("a", "sa", SMALL)).then(accepted("a", "sa", SMALL), granted("g2", "a", "sa"))
    pool.when(joined("b", "sb")).then(accepted("b", "sb"), granted("g1", "b", "sb", LARGE))


def test_what_is_released_goes_to_who_waits() -> None:
    pool = given(POOL).when(requested("g1")).when(requested("g2")).when(joined(capacity=SMALL))
    pool.then(accepted(capacity=SMALL), granted("g1"))
    pool.when(released("g1")).then_types(CapacityFreed, CapacityGranted)


def test_the_queue_has_an_end() -> None:
    pool = given(POOL)
    for number in range(QUEUE_MAX):
        pool.when(requested(f"g{number}")).then_types(CapacityQueued)
    assert f"{QUEUE_MAX} requests wait" in refusal(pool.when(requested("more")))


def test_a_withdrawn_request_is_answered_and_forgotten() -> None:
    pool = given(POOL).when(requested())
    assert refusal(pool.when(released())) == "the request was withdrawn"
    pool.when(joined()).then(accepted())


def test_where_the_request_stands_travels_with_the_grant() -> None:
    at = "event/3/41"
    pool = given(POOL)
    waiting = CapacityQueued(
        pool="default",
        workspace_id="w",
        instance_id="i-g1",
        grant_id="g1",
        resources=SMALL,
        requested_at=at,
        refused_at_ms=NOW_MS + 1,
    )
    pool = given(POOL, waiting).when(joined())
    assert [fact.accepted_at for fact in pool.facts if isinstance(fact, CapacityGranted)] == [at]


# Releases.


def test_a_released_grant_is_free_once() -> None:
    pool = given(POOL, accepted(), granted()).when(released())
    pool.then(
        CapacityFreed(pool="default", grant_id="g1", instance_id="i-g1", reason="its worker is gone, or there was none")
    )
    pool.when(released()).then()
    assert pool.state.sessions["s1"].free == LARGE


@pytest.mark.parametrize("record", [released("unknown"), silent("unknown"), silent(session="unknown")])
def test_what_the_pool_does_not_know_changes_nothing(record: Record) -> None:
    given(POOL, accepted(), granted()).when(record).then()


# Guaranteed and burst.

TWICE = Resources(cpu_millis=4000, memory_mib=8192, slots=10)
HAS = Resources(cpu_millis=2000, memory_mib=4096, slots=10)
HALF = Resources(cpu_millis=1500, memory_mib=1024, slots=1)


def test_what_is_guaranteed_is_kept_and_the_rest_shares_what_is_promised_more_than_once() -> None:
    pool = given(POOL).when(joined(capacity=TWICE, solid=HAS)).when(requested("g1", HALF, guaranteed=True))
    pool.then_types(CapacityGranted)
    reason = refusal(pool.when(requested("g2", HALF, guaranteed=True)))
    assert "no node of pool `default` has room that it can guarantee: the nearest, n1, lacks cpu_millis 1000" in reason
    assert reason.endswith("would fit, and all of it without a guarantee")
    pool.when(requested("g3", HALF)).then_types(CapacityGranted)
    pool.when(released("g1")).when(requested("g4", HALF, guaranteed=True)).then_types(CapacityGranted)


def test_a_guarantee_also_needs_room_among_all_promises() -> None:
    pool = given(POOL).when(joined(capacity=TWICE, solid=HAS))
    pool.when(requested("g1", HALF)).when(requested("g2", HALF)).then_types(CapacityGranted)
    assert "without a guarantee" not in refusal(pool.when(requested("g3", HALF, guaranteed=True)))


def test_a_node_that_guarantees_more_than_it_offers_is_refused() -> None:
    given(POOL).when(joined(capacity=HAS, solid=TWICE)).then_types(NodeRefused)


def test_graphics_processors_and_calls_a_minute_are_counted_like_the_rest() -> None:
    rich = Resources(gpus=1, api_calls_per_minute=100, slots=5)
    pool = given(POOL).when(joined(capacity=rich)).when(requested("g1", Resources(gpus=1, slots=1)))
    pool.then_types(CapacityGranted)
    assert "lacks gpus 1" in refusal(pool.when(requested("g2", Resources(gpus=1, slots=1))))
    calls = Resources(api_calls_per_minute=150, slots=1)
    assert "lacks api_calls_per_minute 50; api_calls_per_minute 100" in refusal(pool.when(requested("g3", calls)))
