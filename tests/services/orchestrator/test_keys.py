"""Idempotency keys: the same ask leads to one run, another ask under the same key to a refusal."""

import pytest

from services.orchestrator import keys
from services.orchestrator.keys import IDEMPOTENCY_TTL_MS, Answer, Keys
from services.records.task import RunFound, RunRefused, RunStarted, run_id_of
from tests.services.orchestrator.run_world import World, flow

FLOW = flow("id: a, input: [i]")


def reason(world: World) -> str:
    (refused,) = world.last
    assert isinstance(refused, RunRefused)
    return refused.reason


def test_the_same_ask_under_one_key_leads_to_one_run() -> None:
    world = World()
    world.ask(world.asking(FLOW, key="k", i="x"), "first")
    assert world.types() == ["RunStarted", "TaskRequested"]
    world.ask(world.asking(FLOW, key="k", i="x").model_copy(update={"actor": "ann"}), "second")
    (found,) = world.last
    assert isinstance(found, RunFound)
    assert (found.run_id, found.ask_id) == (run_id_of("first"), "second")
    assert len(world.state.live) == 1
    world.ask(world.asking(FLOW, key="k", i="x"), "second")
    assert world.last == []


def test_the_answer_stays_after_the_run_has_ended() -> None:
    world = World()
    world.ask(world.asking(FLOW, key="k", i="x"), "first")
    world.complete("a")
    world.ask(world.asking(FLOW, key="k", i="x"), "second")
    assert world.types() == ["RunFound"]


def test_another_ask_under_the_same_key_is_refused() -> None:
    world = World()
    world.ask(world.asking(FLOW, key="k", i="x"), "first")
    world.ask(world.asking(FLOW, key="k", i="y"), "second")
    assert "was used for another ask" in reason(world)
    assert run_id_of("first") in reason(world)
    world.ask(world.asking(FLOW, key="k", i="x"), "third")
    assert world.types() == ["RunFound"]


def test_other_keys_and_workspaces_are_apart() -> None:
    world = World()
    world.ask(world.asking(FLOW, key="k", i="x"))
    world.ask(world.asking(FLOW, key="l", i="x"))
    world.ask(world.asking(FLOW, key="k", i="x").model_copy(update={"workspace_id": "other"}))
    world.ask(world.asking(FLOW, i="x"))
    world.ask(world.asking(FLOW, i="x"))
    assert sum(isinstance(fact, RunStarted) for fact in world.facts) == 5


def test_a_refusal_is_repeated_under_its_key() -> None:
    world = World()
    world.ask(world.asking(FLOW, key="k"), "first")
    first = reason(world)
    assert "the input `i` is missing" in first
    world.ask(world.asking(FLOW, key="k"), "second")
    assert reason(world) == first
    world.ask(world.asking(FLOW, key="k", i="x"), "third")
    assert "was used for another ask" in reason(world)


def test_a_key_is_forgotten_after_its_time() -> None:
    world = World()
    world.ask(world.asking(FLOW, key="k", i="x"))
    world.now_ms += IDEMPOTENCY_TTL_MS
    world.ask(world.asking(FLOW, key="k", i="x"))
    assert world.types() == ["RunFound"]
    world.now_ms += 1
    world.ask(world.asking(FLOW, key="k", i="y"))
    assert world.types() == ["RunStarted", "TaskRequested"]
    world.ask(world.asking(FLOW, key="k", i="y"))
    assert world.types() == ["RunFound"]


def test_a_key_has_a_length() -> None:
    world = World()
    world.ask(world.asking(FLOW, key="k" * 201, i="x"))
    assert "has 201 characters" in reason(world)


def test_the_oldest_keys_are_forgotten_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEYS_MAX", 3)
    kept = Keys()
    for number in range(10):
        kept = kept.add("w", str(number), Answer("run", "body"), number)
        assert len(kept.entries) == len(kept.arrivals) <= 3
    assert [kept.find("w", str(number), 10) is not None for number in range(10)] == [False] * 7 + [True] * 3
