"""Which names a stage reads and writes, and which of them are inputs of the run."""

from __future__ import annotations

from collections.abc import Iterator

from services.definitions.graph import Graph
from services.definitions.stage import Stage
from services.definitions.workflow import Input, Workflow

FEEDBACK = "feedback"
"""The artifact that a review writes where it names no output."""


def is_shared(name: str) -> bool:
    """Return whether a name belongs to the workspace rather than to the run."""
    return name.startswith("workspace:")


def written_names(stage: Stage) -> tuple[str, ...]:
    """Return the names of the artifacts that a stage may write."""
    names = [output.name for output in stage.output]
    if stage.map and stage.map.collect:
        names.append(stage.map.collect)
    if stage.subflow:
        names.extend(sorted(stage.subflow.outputs))
    if stage.kind == "review" and not names:
        names.append(FEEDBACK)
    return tuple(dict.fromkeys(names))


def read_names(stage: Stage) -> dict[str, bool]:
    """Return the names that a stage reads from outside, each with whether it may be absent."""
    names = {part.name: part.optional for part in stage.input}
    if stage.subflow:
        names.update(dict.fromkeys(sorted(stage.subflow.inputs.values()), False))
    if stage.map:
        names.pop(stage.map.item, None)
        names[stage.map.over] = False
    return names


def writers(workflow: Workflow) -> dict[str, list[int]]:
    """Return for each name the stages that may write it, by their numbers."""
    found: dict[str, list[int]] = {}
    for number, stage in enumerate(workflow.stages):
        for name in written_names(stage):
            found.setdefault(name, []).append(number)
    return found


def run_inputs(workflow: Workflow) -> dict[str, Input]:
    """Return the inputs of a run: the declared ones, then those that a stage reads and none writes."""
    found = dict(workflow.inputs)
    written = writers(workflow)
    derived: dict[str, bool] = {}
    for stage in workflow.stages:
        for name, optional in read_names(stage).items():
            if name not in found and name not in written and not is_shared(name):
                derived[name] = derived.get(name, True) and optional
    found.update((name, Input(required=not optional)) for name, optional in derived.items())
    return found


class Ancestry:
    """Answers which stages come before which, over forward branches; one bit of a row for each stage."""

    def __init__(self, graph: Graph) -> None:
        self._rows = [0] * len(graph.stages)
        for node in sorted(range(len(graph.stages)), key=graph.rank.__getitem__):
            row = 0
            for branch in graph.forward_in[node]:
                row |= self._rows[branch.source] | (1 << branch.source)
            self._rows[node] = row

    def is_before(self, first: int, second: int) -> bool:
        """Return whether forward branches lead from `first` to `second`."""
        return bool(self._rows[second] >> first & 1)

    def before(self, node: int) -> Iterator[int]:
        """Yield the stages from which forward branches lead to `node`."""
        row = self._rows[node]
        while row:
            low = row & -row
            yield low.bit_length() - 1
            row ^= low
