"""Whatever is asked, received, born and ended, in any order: each message ends once, and nothing is sent too late."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st

from bus.record import Fact
from bus.testing import Scenario, given
from services.records.message import MessageAcknowledged, MessageExpired, MessageRefused, MessageSent
from services.router.conversations import CONVERSATIONS, ROUNDS_MAX
from services.router.conversations_state import Conversations
from tests.services.router.conversation_cases import ended, message, ready, received

NAMES = ("ann", "bob", "cid", "dan")
PROFESSIONS = ("qa_engineer", "data_analyst")
TARGETS = (*NAMES, "profession:qa_engineer", "profession:data_analyst", "all", "person:pat")

NAME = st.sampled_from(NAMES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), NAME, st.sampled_from(TARGETS), st.sampled_from((3_000, 60_000, 600_000))),
        st.tuples(st.just("receive"), NAME, st.integers(0, 9)),
        st.tuples(st.just("ready"), NAME, st.sampled_from(PROFESSIONS), st.integers(1, 3)),
        st.tuples(st.just("ended"), NAME),
        st.tuples(st.just("wait")),
    ),
    max_size=40,
)


class Story:
    """What was said, told step by step."""

    def __init__(self) -> None:
        self.told: Scenario[Conversations] = given(CONVERSATIONS)
        self.said: list[Fact] = []
        self.sent: list[str] = []
        self.rounds: dict[str, int] = {}

    def step(self, number: int, what: str, *how: Any) -> None:
        match what, how:
            case "send", (name, target, expires_in_ms):
                asked = message(target, source=name, expires_in_ms=expires_in_ms)
                self.told.when(asked, record_id=f"m{number}")
            case "receive", (name, index) if self.sent:
                self.told.when(received(self.sent[index % len(self.sent)], name))
            case "ready", (name, profession, incarnation):
                self.told.when(ready(name, profession, incarnation))
            case "ended", (name,):
                self.told.when(ended(name))
            case "wait", () if self.told.state.deadlines.times:
                self.told.when_deadline()
            case _:
                return
        self._check(self.told.facts)

    def _check(self, facts: list[Fact]) -> None:
        self.said += facts
        for fact in facts:
            if isinstance(fact, MessageSent):
                message_id = fact.message.message_id
                assert self.told.now_ms < fact.message.expires_at_ms, "sent when its time was over"
                assert fact.round == self.rounds.get(message_id, 0) + 1 <= ROUNDS_MAX
                self.rounds[message_id] = fact.round
                self.sent.append(message_id)


@for_all(STEPS)
def test_each_message_ends_once(steps: list[tuple[Any, ...]]) -> None:
    story = Story()
    for number, step in enumerate(steps):
        story.step(number, *step)
    for number in itertools.count():
        if not story.told.state.deadlines.times:
            break
        assert number < 10_000, "it never ends"
        story.step(number, "wait")
    ends = Counter(_ended(fact) for fact in story.said if _ended(fact))
    to_persons = {
        fact.message.message_id
        for fact in story.said
        if isinstance(fact, MessageSent) and fact.message.target_instance.startswith("person:")
    }
    assert ends == Counter(story.rounds.keys() - to_persons)
    refused = {fact.message_id for fact in story.said if isinstance(fact, MessageRefused)}
    assert not refused & story.rounds.keys(), "a message is sent or refused, never both"
    assert not story.told.state.pending
    assert all(not each.queues and not each.callers for each in story.told.state.workspaces.values())


def _ended(fact: Fact) -> str:
    if isinstance(fact, MessageExpired) or (isinstance(fact, MessageAcknowledged) and fact.settled):
        return fact.message_id
    return ""


@for_all(STEPS)
def test_the_facts_lead_to_the_state(steps: list[tuple[Any, ...]]) -> None:
    story = Story()
    for number, step in enumerate(steps):
        before, now_ms = story.told.state, story.told.now_ms
        story.told.facts = []
        story.step(number, *step)
        folded = before
        for fact in story.told.facts:
            folded = CONVERSATIONS.evolve(folded, fact, story.told.now_ms)
        assert folded == story.told.state, f"after {step} at {now_ms}"
