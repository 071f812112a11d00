"""Messages reach those whom they are for, are sent again until received, and end when they have expired."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bus.testing import NOW_MS
from services.records.message import (
    EXPIRY_MS,
    EXPIRY_MS_MAX,
    PAYLOAD_BYTES_MAX,
    CorrespondentChanged,
    EventMessageRequested,
    MessageAcknowledged,
    MessageExpired,
    MessageRefused,
    MessageSent,
)
from services.router import conversations
from services.router.conversations import RESEND_MS, ROUNDS_MAX
from services.router.conversations_state import Conversations
from tests.services.router.conversation_cases import (
    CAST,
    delivered,
    ended,
    id_of,
    message,
    payload,
    present,
    ready,
    received,
    scene,
)


def acknowledgement(message_id: str, name: str, *, settled: bool = True) -> MessageAcknowledged:
    return MessageAcknowledged(workspace_id="w", run_id="r", message_id=message_id, instance_id=name, settled=settled)


def sent_by(told: Any) -> MessageSent:
    (fact,) = (fact for fact in told.facts if isinstance(fact, MessageSent))
    return fact


def test_a_message_is_sent_to_the_instance_that_it_names() -> None:
    told = scene().when(message("bob", priority=3))
    fact = sent_by(told)
    assert fact.deliveries == delivered("bob")
    assert (fact.message.source_instance, fact.message.target_instance) == ("ann", "instance:bob")
    assert (fact.message.created_at_ms, fact.message.expires_at_ms) == (NOW_MS, NOW_MS + EXPIRY_MS)
    assert fact.message.context.priority == 3
    assert fact.message.context.trace_id, "it can be found in the trace"


def test_the_same_ask_twice_is_one_message() -> None:
    asked = message("bob")
    scene().when(asked).when(asked).then()


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("instance:cid", ["cid"]),
        ("profession:qa_engineer", ["bob", "cid"]),
        ("team", ["bob"]),
        ("team:red", ["bob"]),
        ("all", ["bob", "cid"]),
    ],
)
def test_an_address_means_these_and_never_the_sender(target: str, names: list[str]) -> None:
    assert sent_by(scene().when(message(target))).deliveries == delivered(*names)


def test_what_is_received_is_settled_once() -> None:
    asked = message("bob")
    told = scene().when(asked).when(received(id_of(asked), "bob"))
    told.then(acknowledgement(id_of(asked), "bob")).when(received(id_of(asked), "bob")).then()
    assert not told.state.pending
    assert not told.state.deadlines.times
    assert not told.state.of("w").queues


def test_a_broadcast_is_settled_when_all_have_it_and_a_call_for_a_profession_when_one_has() -> None:
    asked = message("all", "broadcast")
    told = scene().when(asked).when(received(id_of(asked), "cid"))
    told.then(acknowledgement(id_of(asked), "cid", settled=False))
    told.when(received(id_of(asked), "bob")).then(acknowledgement(id_of(asked), "bob"))
    asked = message("profession:qa_engineer")
    told = scene().when(asked).when(received(id_of(asked), "cid")).then(acknowledgement(id_of(asked), "cid"))
    assert not told.state.of("w").queues
    assert not told.state.of("w").callers


def test_what_is_not_received_is_sent_again_ever_more_seldom_and_then_expires() -> None:
    told, rounds = scene().when(message("bob", expires_in_ms=100_000)), [NOW_MS]
    while told.when_deadline().facts and isinstance(told.facts[0], MessageSent):
        assert told.facts[0].deliveries == delivered("bob")
        rounds.append(told.now_ms)
    gaps = [after - before for before, after in itertools.pairwise(rounds)]
    assert gaps == [RESEND_MS << n for n in range(len(gaps))]
    assert len(rounds) == 5
    assert isinstance(told.facts[0], MessageExpired)
    assert told.facts[0].missed == ("bob",)
    assert told.now_ms == NOW_MS + 100_000
    assert told.state == Conversations(workspaces=told.state.workspaces, seen=told.state.seen), (
        "nothing of it is left but that it was there"
    )


def test_nothing_is_sent_more_often_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "RESEND_MS", 10)
    told, rounds = scene().when(message("bob", expires_in_ms=EXPIRY_MS_MAX)), 1
    while isinstance(told.when_deadline().facts[0], MessageSent):
        rounds += 1
    assert rounds == ROUNDS_MAX


def test_only_who_has_not_answered_gets_it_again() -> None:
    asked = message("all")
    told = scene().when(asked).when(received(id_of(asked), "bob")).when_deadline()
    assert sent_by(told).deliveries == delivered("cid")


def test_a_new_worker_gets_what_waits_the_urgent_first() -> None:
    low, high = message("bob", priority=-1), message("bob", priority=5)
    told = scene().when(low).when(high).when(ready("bob", incarnation=2))
    facts = [fact for fact in told.facts if isinstance(fact, MessageSent)]
    assert [fact.message.message_id for fact in facts] == [id_of(high), id_of(low)]
    assert all(fact.deliveries == delivered("bob", incarnation=2) for fact in facts)
    told.when(received(id_of(low), "bob", incarnation=1)).then()
    told.when(received(id_of(low), "bob", incarnation=2)).then(acknowledgement(id_of(low), "bob"))


def test_a_call_for_a_profession_waits_for_the_first_of_it() -> None:
    asked = message("profession:data_analyst")
    told = scene().when(asked)
    assert sent_by(told).deliveries == ()
    assert sent_by(told.when_deadline()).deliveries == ()
    assert sent_by(told.when(ready("dan", "data_analyst"))).deliveries == delivered("dan")


def test_an_instance_that_was_not_known_yet_is_looked_for_again() -> None:
    told = scene().when(message("dan")).when(ready("dan"))
    told.then_types(CorrespondentChanged)
    assert sent_by(told.when_deadline()).deliveries == delivered("dan")
    told = scene().when(message("eve")).when_deadline().then_types(MessageExpired)
    assert told.facts[0] == MessageExpired(
        workspace_id="w", run_id="r", message_id=id_of(message("eve")), reason="there is no instance eve"
    )


def test_who_ends_is_waited_for_no_more() -> None:
    told = scene().when(message("bob")).when(ended("bob")).when_deadline().then_types(MessageExpired)
    assert told.facts[0] == told.facts[0].model_copy(update={"reason": "bob ended before receiving it"})
    told.when(ready("bob")).then()
    told.when(message("bob", kind="reply")).then_types(MessageRefused)


def test_a_reply_acknowledges_what_it_answers() -> None:
    asked = message("bob", requires_ack=True)
    answer = message("ann", "reply", source="bob", reply_to=id_of(asked))
    told = scene().when(asked).when(answer)
    told.then_types(MessageSent, MessageAcknowledged)
    assert told.facts[1] == acknowledgement(id_of(asked), "bob")


def test_a_message_for_a_person_needs_nobody_to_receive_it() -> None:
    told = scene().when(message("person:pat", "reply", source="bob"))
    told.then_types(MessageSent)
    assert not told.state.pending
    assert not told.state.deadlines.times


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (message("bob", source="ann", incarnation=0), "the worker of ann that sends this is over"),
        (message("bob", source="ann", node_session="old"), "the worker of ann that sends this is over"),
        (message("bob", source="ann", actor="mallory"), "mallory is no worker of ann"),
        (message("team", source="cid"), "in no team"),
        (message("room:one"), "is no address"),
        (message(""), "is no address"),
        (message("x" * 300), "300 characters"),
        (message("bob").model_copy(update={"message_type": "gossip"}), "no message type 'gossip'"),
        (message("bob").model_copy(update={"message_type": "event.party"}), "goes by the channel event, not task"),
        (message("bob", priority=10), "priority is 10"),
        (message("bob", expires_in_ms=-1), "lives"),
        (message("bob", expires_in_ms=EXPIRY_MS_MAX + 1), "lives"),
        (message("bob", payload=payload().model_copy(update={"size": PAYLOAD_BYTES_MAX + 1})), "bytes, more than"),
        (message("bob", payload=payload("x" * 40_000)), "stand in the record"),
        (message("bob", payload=payload().model_copy(update={"inline": None, "digest": ""})), "no payload"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_sentence(asked: Any, words: str) -> None:
    told = scene().when(asked).then_types(MessageRefused)
    assert words in told.facts[0].reason  # type: ignore[attr-defined]


def test_a_type_of_ones_own_goes_by_the_channel_in_its_name() -> None:
    asked = EventMessageRequested(**{**message("bob").model_dump(), "message_type": "event.party"})
    assert sent_by(scene().when(asked)).deliveries == delivered("bob")


def test_a_full_queue_is_told_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "QUEUE_MESSAGES_MAX", 1)
    told = scene().when(message("bob")).when(message("bob", priority=1)).then_types(MessageRefused)
    assert "1 messages wait for bob" in told.facts[0].reason  # type: ignore[attr-defined]
    assert sent_by(told.when(message("all", "broadcast"))).deliveries == delivered("cid")


def test_a_message_for_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "ADDRESSEES_MAX", 1)
    told = scene().when(message("all", "broadcast")).then_types(MessageRefused)
    assert "all are 2 instances" in told.facts[0].reason  # type: ignore[attr-defined]


def test_a_person_sends_under_the_name_of_the_door() -> None:
    fact = sent_by(scene().when(message("bob", source="", actor="pat")))
    assert fact.message.source_instance == "person:pat"


def test_a_sender_that_is_not_known_yet_is_believed() -> None:
    assert sent_by(scene(*CAST[1:]).when(message("bob", source="ann"))).deliveries == delivered("bob")


def test_what_waits_for_a_worker_comes_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "CATCH_UP_BYTES", 2_500)
    told = scene(*CAST, present("dan", "data_analyst"))
    for n in range(5):
        told = told.when(message("dan", priority=n))
    told.when(ready("dan", "data_analyst", 2)).then_types(CorrespondentChanged, MessageSent, MessageSent)
