"""A run of ten thousand stages works whatever its shape, and what is said of it fits into records."""

import json
import time

import pytest

from bus.decider import DECISION_BYTES_MAX, Draft
from bus.log import RECORD_BYTES_MAX, size
from bus.record import Envelope, Fact, Origin
from services.cli.bench.flow import SHAPES
from services.orchestrator import pieces
from services.orchestrator.runs import RUNS
from services.records import language_codec
from services.records.task import StageCompleted, StageEnded, TaskRequested, TokensMoved
from tests.services.orchestrator.run_world import World

WIDE = 10_000
CODEC = language_codec()


class Sized(World):
    """A world that weighs what is said instead of comparing every fold, which would cost the square."""

    def __init__(self, *, weighed: bool = True) -> None:
        super().__init__(checked=False)
        self.weighed = weighed
        self.asked: list[TaskRequested] = []
        self.ended = self.moved = 0

    def _decide(self, heard: Envelope) -> list[Fact]:
        blobs = {digest: self.blobs.get(digest) for digest in RUNS.needs(self.state, heard)}
        draft = Draft(RUNS, self.state, heard.id, self.now_ms, blobs)
        RUNS.decide(draft, heard)
        self.state, self.last = draft.state, draft.facts
        self.asked += [fact for fact in draft.facts if isinstance(fact, TaskRequested)]
        self.ended += sum(isinstance(fact, StageCompleted | StageEnded) for fact in draft.facts)
        self.moved += sum(isinstance(fact, TokensMoved) for fact in draft.facts)
        self.facts = draft.facts
        if self.weighed:
            self._weigh(draft.facts)
        return draft.facts

    def _weigh(self, facts: list[Fact]) -> None:
        origin = Origin("fact", "orchestrator.runs", "s" * 32, 1, 1, cause="task/0/1")
        sizes = [size(CODEC.encode(f, record_id="i" * 24, origin=origin, time_ms=1, trace="0" * 32)) for f in facts]
        assert all(each <= RECORD_BYTES_MAX for each in sizes)
        assert sum(sizes) <= DECISION_BYTES_MAX

    def play(self, text: str) -> None:
        """Let every task end well as soon as it is asked for."""
        self.run(text)
        while self.live is not None:
            self.go_on()
            asked, self.asked = self.asked, []
            for each in asked:
                self.hear(self.completion(each, "{}"))
        assert self.end.status == "completed"


def shaped(name: str, count: int) -> str:
    return json.dumps({"id": "x", "stages": list(SHAPES[name](count))})


def test_each_stage_of_a_wide_run_ends_once() -> None:
    world = Sized()
    world.play(shaped("fan", WIDE))
    assert world.ended == WIDE
    assert world.moved


def test_a_long_branch_that_is_not_taken_is_skipped_whole() -> None:
    stages = list(SHAPES["chain"](WIDE))
    choice = {
        "id": "choice",
        "profession": "p",
        "next": [{"to": "s0", "when": "has(result.x)"}, {"to": "o", "else": True}],
    }
    world = Sized()
    world.play(json.dumps({"id": "x", "stages": [choice, *stages, {"id": "o", "profession": "p"}]}))
    assert world.ended == WIDE + 2


def test_a_run_may_begin_with_very_many_stages_at_once() -> None:
    world = Sized()
    world.play(json.dumps({"id": "x", "stages": [{"id": f"start_{n}", "profession": "p"} for n in range(WIDE)]}))
    assert world.ended == WIDE


def test_the_moves_of_a_wide_split_fold_as_they_were_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the checks of the world, which compare every fold through the wire form."""
    monkeypatch.setattr(pieces, "FIRST_BYTES_MAX", 1_000)
    monkeypatch.setattr(pieces, "PIECE_BYTES_MAX", 2_000)
    world = World()
    world.run(shaped("fan", 300)).complete("first")
    assert any(isinstance(fact, TokensMoved) for fact in world.last)
    world.go_on()
    for _ in range(298):
        asked = world.open_requests()[0]
        world.hear(world.completion(asked, "{}"))
        world.go_on()
    world.complete("last")
    assert world.end.status == "completed"


@pytest.mark.parametrize("shape", ["chain", "fan", "ladder"])
def test_deciding_a_stage_costs_no_square_of_the_stages(shape: str) -> None:
    """A square would make it a hundred times dearer; what is left is memory that grows cold."""
    _cost_s(shape, 100)
    small = min(_cost_s(shape, 100) for _ in range(5))
    assert _cost_s(shape, WIDE) < 8 * small


def _cost_s(shape: str, count: int) -> float:
    world, text = Sized(weighed=False), shaped(shape, count)
    began = time.process_time()
    world.play(text)
    return (time.process_time() - began) / count
