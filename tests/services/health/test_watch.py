"""The watch: late, lost and recovered subjects, and one alarm for each episode."""

from collections import Counter

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from bus.record import Record
from bus.testing import NOW_MS, Scenario, given
from services.health.watch import GRACE_MS_MAX, GRACE_MS_MIN, WATCH
from services.health.watch_state import Watched
from services.records.content import Resources
from services.records.event import (
    AlarmCleared,
    AlarmRaised,
    InstanceEnded,
    InstanceReady,
    InstanceStopping,
    LeaseMissed,
    LeaseResumed,
    NodeAccepted,
    NodeLost,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    SubjectUnwatched,
    SubjectWatched,
)

LEASE_MS = 5_000
WATCHED = SubjectWatched(subject="instance:i", owner_key="w", session="s", incarnation=1)
ENDED = InstanceEnded(workspace_id="w", instance_id="i", status="stopped")
NODE = NodeAccepted(pool="p", node_id="n", node_session="s", capacity=Resources())
NODE_LOST = NodeLost(pool="p", node_id="n", node_session="s", reason="silence")


def ready(incarnation: int = 1, session: str = "s") -> InstanceReady:
    return InstanceReady(
        workspace_id="w",
        instance_id="i",
        profession="p",
        name="x",
        agent="",
        node_id="n",
        node_session=session,
        incarnation=incarnation,
        slots=1,
    )


def stopping(incarnation: int = 1) -> InstanceStopping:
    return InstanceStopping(workspace_id="w", instance_id="i", node_id="n", node_session="s", incarnation=incarnation)


def missed(last_seen_ms: int = 100, **other: object) -> LeaseMissed:
    fields = {"subject": "instance:i", "owner_key": "w", "session": "s", "incarnation": 1, "lease_ms": LEASE_MS}
    return LeaseMissed.model_validate({**fields, "last_seen_ms": last_seen_ms, **other})


def resumed(seen_ms: int = 200, **other: object) -> LeaseResumed:
    fields = {"subject": "instance:i", "owner_key": "w", "session": "s", "incarnation": 1}
    return LeaseResumed.model_validate({**fields, "seen_ms": seen_ms, **other})


def late() -> Scenario[Watched]:
    return given(WATCH, WATCHED).when(missed()).then_types(SubjectLate, AlarmRaised)


def deadline(scenario: Scenario[Watched]) -> int | None:
    first = WATCH.deadlines(scenario.state).first()
    return first[0] if first else None


def test_an_instance_is_watched_from_ready_to_its_end() -> None:
    watch = given(WATCH).when(ready()).then(WATCHED)
    watch.when(ready()).then()
    watch.when(ENDED).then_types(SubjectUnwatched)
    watch.when(ENDED).then()
    watch.when(ready()).then()
    assert not watch.state.subjects


def test_an_instance_that_is_being_stopped_is_not_watched_any_more() -> None:
    given(WATCH, WATCHED).when(stopping(incarnation=0)).then()
    given(WATCH, WATCHED).when(stopping()).then_types(SubjectUnwatched)


def test_a_node_is_watched_from_accepted_to_lost() -> None:
    watch = given(WATCH).when(NODE)
    watch.then(SubjectWatched(subject="node:n", owner_key="pool:p", session="s"))
    watch.when(NODE_LOST.model_copy(update={"node_session": "old"})).then()
    watch.when(NODE_LOST).then_types(SubjectUnwatched)


def test_a_new_session_takes_the_place_of_the_old_one() -> None:
    anew = NODE.model_copy(update={"node_session": "s2"})
    watch = given(WATCH).when(NODE).when(anew).then_types(SubjectUnwatched, SubjectWatched)
    watch.when(missed(subject="node:n", owner_key="pool:p", incarnation=0)).then()


def test_the_first_missed_lease_makes_a_subject_late_and_raises_one_alarm() -> None:
    watch = given(WATCH, WATCHED).when(missed())
    evidence = "last seen at 100, its lease is 5000 ms"
    alarm = watch.facts[1]
    assert isinstance(alarm, AlarmRaised)
    watch.then(
        SubjectLate(
            subject="instance:i",
            owner_key="w",
            session="s",
            incarnation=1,
            lost_at_ms=NOW_MS + LEASE_MS,
            evidence=evidence,
            seen_ms=100,
        ),
        AlarmRaised(alarm_id=alarm.alarm_id, rule="lease", subject="instance:i", owner_key="w", evidence=evidence),
    )
    watch.when(missed()).then()
    watch.when(missed(150)).then()


@pytest.mark.parametrize(
    "record",
    [
        missed(session="old"),
        missed(incarnation=0),
        missed(subject="instance:j"),
        missed(owner_key="v"),
        resumed(),
    ],
)
def test_what_is_not_about_this_worker_changes_nothing(record: Record) -> None:
    given(WATCH, WATCHED).when(record).then()


@pytest.mark.parametrize(("lease_ms", "grace_ms"), [(-5, GRACE_MS_MIN), (10**15, GRACE_MS_MAX)])
def test_no_report_makes_the_grace_absurd(lease_ms: int, grace_ms: int) -> None:
    watch = given(WATCH, WATCHED).when(missed(lease_ms=lease_ms))
    assert deadline(watch) == NOW_MS + grace_ms


def test_a_late_subject_that_is_heard_again_recovers_and_the_alarm_is_cleared() -> None:
    watch = late().when(resumed(session="old")).then().when(resumed()).then_types(SubjectRecovered, AlarmCleared)
    assert deadline(watch) is None
    watch.when(resumed()).then()
    watch.when(missed()).then()
    watch.when(missed(300)).then_types(SubjectLate, AlarmRaised)
    watch.when(resumed()).then()


def test_a_subject_that_stays_silent_is_lost_once_and_for_good() -> None:
    watch = late().when_deadline()
    assert watch.now_ms == NOW_MS + LEASE_MS
    evidence = "last seen at 100, its lease is 5000 ms"
    watch.then(SubjectLost(subject="instance:i", owner_key="w", session="s", incarnation=1, evidence=evidence))
    assert deadline(watch) is None
    watch.when(missed(400)).then()
    watch.when(resumed(500)).then()
    watch.when(ENDED).then_types(AlarmCleared, SubjectUnwatched)


def test_an_overdue_grace_ends_once() -> None:
    watch = late().at(NOW_MS + 100 * LEASE_MS).when_deadline().then_types(SubjectLost)
    assert deadline(watch) is None


def test_the_end_of_a_late_subject_clears_its_alarm_and_its_deadline() -> None:
    watch = late().when(stopping()).then_types(AlarmCleared, SubjectUnwatched)
    assert deadline(watch) is None


INPUTS = st.one_of(
    st.builds(ready, st.integers(1, 2)),
    st.builds(stopping, st.integers(1, 2)),
    st.just(ENDED),
    st.builds(missed, st.integers(0, 20), incarnation=st.integers(1, 2)),
    st.builds(resumed, st.integers(0, 20), incarnation=st.integers(1, 2)),
    st.sampled_from([0, 3_000, 6_000]),
)


@settings(max_examples=300, deadline=None)
@sampled(st.lists(INPUTS, max_size=40))
def test_one_alarm_stands_for_each_episode_and_is_cleared_once(inputs: list[Record | int]) -> None:
    watch = given(WATCH)
    raised: Counter[str] = Counter()
    cleared: Counter[str] = Counter()
    standing: set[str] = set()
    episodes = 0
    for number, heard in enumerate([*inputs, ENDED]):
        if isinstance(heard, int):
            watch.at(watch.now_ms + heard)
            first = WATCH.deadlines(watch.state).first()
            if first is None or first[0] > watch.now_ms:
                continue
            watch.when_deadline().then_types(SubjectLost)
        else:
            watch.when(heard, record_id=f"record {number}")
        for fact in watch.facts:
            episodes += isinstance(fact, SubjectLate)
            if isinstance(fact, AlarmRaised):
                raised[fact.alarm_id] += 1
                standing.add(fact.subject)
                assert fact.evidence
            elif isinstance(fact, AlarmCleared):
                cleared[fact.alarm_id] += 1
                standing.remove(fact.subject)
                assert fact.evidence
        phases = {subject.subject for subject in watch.state.subjects.values() if subject.phase != "alive"}
        assert standing == phases
    assert raised == cleared
    assert set(raised.values()) <= {1}
    assert episodes == len(raised)
    assert deadline(watch) is None
