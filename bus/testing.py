"""Tests of Deciders that read given, when, then; ships with the package so that users' roles can be tested the same
way.

    given(RUNS, RunStarted(…), TaskRequested(…)).when(TaskCompleted(…)).then(StageCompleted(…), RunEnded(…))
    given(RUNS, …).when_deadline().then(…)
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from bus.channel import Position
from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Fact, Origin, Posted, Record, Report, derive_id, derive_trace

S = TypeVar("S")
NOW_MS = 1_700_000_000_000


def envelope(record: Record, *, record_id: str = "", offset: int = 0, time_ms: int = NOW_MS) -> Envelope:
    """A record as a role would hear it; the id derives from the record unless given."""
    record_id = record_id or derive_id(type(record).__name__, record.model_dump_json())
    kind = "post" if isinstance(record, Posted) else "fact" if isinstance(record, Fact) else "ask"
    origin = Origin("report" if isinstance(record, Report) else kind)
    at = Position(record.channel, 0, offset)
    return Envelope(record, record_id, origin, at, time_ms, derive_trace(record_id), record.key())


class Scenario(Generic[S]):
    """A role with the state its own facts led to, and the facts of its last decision."""

    def __init__(self, role: Role[S], state: S, now_ms: int, blobs: Mapping[str, bytes]) -> None:
        self.role, self.state, self.now_ms, self.blobs = role, state, now_ms, dict(blobs)
        self.facts: list[Fact] = []

    def at(self, now_ms: int) -> Scenario[S]:
        """Move the clock."""
        self.now_ms = now_ms
        return self

    def when(self, record: Record, *, record_id: str = "") -> Scenario[S]:
        """Let the role decide on a record; its blobs are those the scenario was given."""
        return self._decide(envelope(record, record_id=record_id, time_ms=self.now_ms))

    def when_deadline(self) -> Scenario[S]:
        """Move the clock to the first deadline, unless it is later already, and let the role decide on it."""
        first = self.role.deadlines(self.state).first()
        assert first is not None, "the state has no deadline"
        at_ms, name = first
        self.now_ms = max(self.now_ms, at_ms)
        record: Any = DeadlineReached(name, at_ms)
        return self._decide(Envelope(record, name, Origin("deadline"), None, self.now_ms, derive_trace(name)))

    def _decide(self, heard: Envelope) -> Scenario[S]:
        needed = self.role.needs(self.state, heard)
        draft = Draft(self.role, self.state, heard.id, self.now_ms, {d: self.blobs.get(d) for d in needed})
        self.role.decide(draft, heard)
        unsaid = {type(fact) for fact in draft.facts} - self.role.says
        assert not unsaid, f"{self.role.name} says facts that its role does not list: {unsaid}"
        self.facts, self.state = draft.facts, draft.state
        self.blobs.update(draft.kept)
        return self

    def then(self, *expected: Fact) -> Scenario[S]:
        """The last decision was exactly these facts, in this order."""
        if self.facts != list(expected):
            lines = difflib.ndiff([repr(f) for f in expected], [repr(f) for f in self.facts])
            raise AssertionError("the decision differs (- expected, + decided):\n" + "\n".join(lines))
        return self

    def then_types(self, *expected: type[Fact]) -> Scenario[S]:
        """The last decision was facts of exactly these types, in this order."""
        found = [type(fact).__name__ for fact in self.facts]
        assert found == [kind.__name__ for kind in expected], f"decided {found}: {self.facts}"
        return self


def given(role: Role[S], *facts: Fact, now_ms: int = NOW_MS, blobs: Mapping[str, bytes] | None = None) -> Scenario[S]:
    """The role after these facts of its own."""
    state = role.initial()
    for fact in facts:
        state = role.evolve(state, fact, now_ms)
    return Scenario(role, state, now_ms, blobs or {})
