"""Whether a changed definition goes with what a fork takes over: all that has run must have run the same under it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.definitions.graph import Graph
from services.definitions.stage import Stage
from services.orchestrator.definition import Definition, Level
from services.orchestrator.flow import Flow
from services.orchestrator.game import StageState
from services.orchestrator.reuse import names_of
from services.orchestrator.run import Run

FAULTS_MAX = 5
"""Most faults that a refusal lists."""


def find_faults(old: Run, before: Definition, after: Definition) -> list[str]:
    """What does not go together, in sentences; none if the definition is the same."""
    if old.definition and before is after:
        return []
    faults: list[str] = []
    flows: list[tuple[str, Run | Flow]] = [("", old)]
    flows += [(flow.path, flow) for _, flow in sorted(old.inner.flows.items())]
    for path, flow in flows:
        if path not in after.levels:
            faults.append(f"`{path}` is under way as a subflow, which the changed definition does not have")
        else:
            faults += _Check(flow, before.levels[path], after.levels[path]).faults()
    return list(dict.fromkeys(faults))


class _Check:
    """One token game under two definitions."""

    def __init__(self, flow: Run | Flow, before: Level, after: Level) -> None:
        self._flow, self._before, self._after = flow, before, after
        self._old, self._new = before.graph, after.graph

    def faults(self) -> Iterator[str]:
        gone = [name for name, state in self._ran() if name not in self._new.number]
        yield from (f"`{name}` has run and is not in the changed definition" for name in gone)
        if not gone:
            for name, state in self._ran():
                yield from self._of_stage(name, state)
            yield from self._of_starts()
            yield from self._of_tokens()

    def _ran(self) -> list[tuple[str, StageState]]:
        return sorted((name, state) for name, state in self._flow.game.stages.items() if state.executions)

    def _of_stage(self, name: str, state: StageState) -> Iterator[str]:
        before, after = self._stages(name)
        if ways_in(self._old, name) != ways_in(self._new, name) or before.join != after.join:
            yield f"`{name}` has begun, so what leads to it and how it joins that cannot change"
        if loop_around(self._old, name) != loop_around(self._new, name):
            yield f"`{name}` has begun, so the loop that it is in cannot change"
        is_split = before.map is not None or before.kind == "subflow"
        if state.open and is_split and (before.map, before.kind) != (after.map, after.kind):
            yield f"`{name}` is under way, so what it goes through cannot change"
        if state.executions > len(state.open):
            yield from self._of_ended(before, after)

    def _of_ended(self, before: Stage, after: Stage) -> Iterator[str]:
        if ways_out(before) != ways_out(after):
            yield f"`{before.id}` has ended, so its ways on cannot change; fork at `{before.id}` or before"
        written = {each.name for each in before.output}
        for output in after.output:
            if output.name not in written and output.name not in self._flow.artifacts:
                yield f"`{before.id}` has ended without `{output.name}`, which the changed definition has it write"

    def _stages(self, name: str) -> tuple[Stage, Stage]:
        return self._old.stages[self._old.number[name]], self._new.stages[self._new.number[name]]

    def _of_starts(self) -> Iterator[str]:
        known = self._flow.game.stages
        for start in self._new.starts:
            name = self._new.stages[start].id
            if name not in known:
                yield f"`{name}` would begin at the start, which is over; let something lead to it"

    def _of_tokens(self) -> Iterator[str]:
        """Tokens that wait at a join, or of branches that stand in the game, need a place to stand."""
        kept, names = set(names_of(self._new)), names_of(self._old)
        for index in sorted(self._flow.game.branches):
            if names[index] not in kept:
                source, target, _, _ = names[index]
                yield f"a token from `{source}` to `{target}` stands, which the changed definition has no edge for"
        for number in sorted(self._flow.game.joins):
            name = self._old.stages[number].id
            if name not in self._new.number or ways_in(self._old, name) != ways_in(self._new, name):
                yield f"tokens have come to `{name}`, so what leads to it cannot change"


def ways_in(graph: Graph, name: str) -> list[tuple[str, str]]:
    """From where, and by which kind of edge."""
    return sorted((graph.stages[b.source].id, b.kind) for b in graph.forward_in[graph.number[name]])


def ways_out(stage: Stage) -> Any:
    """All that says where a stage leads once it has ended."""
    reject = (stage.review.on_reject, stage.review.max_rounds) if stage.review and stage.review.on_reject else None
    return stage.next, stage.on_error, stage.choose, reject


def loop_around(graph: Graph, name: str) -> Any:
    """The stages of the loop that a stage is in, and the branches into it."""
    loop = graph.loop_of[graph.number[name]]
    if loop < 0:
        return None
    entries = sorted(graph.stages[graph.branches[index].source].id for index in graph.loops[loop].entries)
    return sorted(graph.stages[number].id for number in graph.loops[loop].stages), entries
