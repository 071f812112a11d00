"""A definition as the runs role needs it: read, validated and with its graph, once for each content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from services.definitions.dataflow import run_inputs
from services.definitions.graph import Graph, build_graph
from services.definitions.stage import Stage
from services.definitions.validation import require_valid, without_lines
from services.definitions.workflow import Input, Workflow

DEFINITIONS_MAX = 256
"""Most definitions that a process keeps ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow that can be run."""

    workflow: Workflow
    graph: Graph
    inputs: Mapping[str, Input]
    mutexes: Mapping[str, tuple[str, ...]]  # the stages that share one
    choices: Mapping[str, tuple[str, ...]]  # the waits of a deferred choice
    awaited: Mapping[str, tuple[str, ...]]  # for each stage the waits for its completion
    parameters: Mapping[str, str]  # of each stage, as JSON

    def stage(self, name: str) -> Stage:
        return self.workflow.stages[self.graph.number[name]]


@lru_cache(maxsize=DEFINITIONS_MAX)
def read_definition(data: bytes) -> Definition:
    """Read the canonical form of a workflow; raises DefinitionInvalid if it is none or cannot be run."""
    workflow = Workflow.from_json(data)
    require_valid(without_lines(workflow, workflow.id))
    stages = workflow.stages
    return Definition(
        workflow=workflow,
        graph=build_graph(workflow),
        inputs=run_inputs(workflow),
        mutexes=_grouped((stage.mutex, stage.id) for stage in stages),
        choices=_grouped((stage.choice, stage.id) for stage in stages if stage.kind == "wait"),
        awaited=_grouped((stage.wait.stage, stage.id) for stage in stages if stage.wait),
        parameters={stage.id: json.dumps(stage.parameters, ensure_ascii=False) for stage in stages},
    )


def _grouped(pairs: Iterable[tuple[str | None, str]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for key, name in pairs:
        if key is not None:
            groups.setdefault(key, []).append(name)
    return {key: tuple(names) for key, names in groups.items()}
