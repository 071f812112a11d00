"""A definition as the runs role needs it: read, validated and with its graphs, once for each content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.definitions.dataflow import run_inputs
from services.definitions.graph import Graph, build_graph
from services.definitions.nesting import inputs_for, levels_of, outputs_for
from services.definitions.stage import Stage
from services.definitions.validation import require_valid, without_lines
from services.definitions.workflow import Input, Workflow
from services.orchestrator.named import kept_by_digest
from services.records.content import Artifact

DEFINITIONS_MAX = 256
"""Most definitions that a process keeps ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A workflow with its graph: the outermost one, or that of one stage of kind `subflow`."""

    path: str  # of that stage; empty for the outermost
    prefix: str  # of the names of its stages and artifacts
    workflow: Workflow
    graph: Graph
    inputs: Mapping[str, Input]
    choices: Mapping[str, tuple[str, ...]]  # the waits of a deferred choice
    awaited: Mapping[str, tuple[str, ...]]  # for each stage the waits for its completion
    handed_in: Mapping[str, str]  # for its inputs, the names outside
    handed_out: Mapping[str, str]  # for names outside, its artifacts

    def named_within(self, artifacts: tuple[Artifact, ...]) -> dict[str, Artifact]:
        """Artifacts by the names that they have on this level."""
        if not self.prefix:
            return {artifact.name: artifact for artifact in artifacts}
        names = [artifact.name.removeprefix(self.prefix) for artifact in artifacts]
        named = zip(names, artifacts, strict=True)
        return {name: artifact.model_copy(update={"name": name}) for name, artifact in named}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow that can be run, with all that runs inside it."""

    root: Level
    levels: Mapping[str, Level]  # by path
    stages: Mapping[str, Stage]  # of all levels, by id
    parameters: Mapping[str, str]  # of each stage, as JSON
    professions: Mapping[str, Mapping[str, str]]  # of each task, whom it may go to, with digests
    mutexes: Mapping[str, tuple[str, ...]]  # of each stage that has some; a subflow runs once at a time

    def level(self, stage: str) -> Level:
        """The level that a stage is on."""
        return self.root if "/" not in stage else self.levels[stage.rpartition("/")[0]]


def read_definition(data: bytes) -> Definition:
    """Read the canonical form of a workflow; raises DefinitionInvalid or NestingInvalid if it cannot be run."""
    workflow = Workflow.from_json(data)
    require_valid(without_lines(workflow, workflow.id))
    found = levels_of(workflow)
    stages = {stage.id: stage for level in found.values() for stage in level.stages}
    levels = {path: _level(path, level, stages) for path, level in found.items()}
    return Definition(
        root=levels[""],
        levels=levels,
        stages=stages,
        professions={
            stage.id: _professions(stage, level.professions or {}) for level in found.values() for stage in level.stages
        },
        parameters={name: json.dumps(stage.parameters, ensure_ascii=False) for name, stage in stages.items()},
        mutexes={name: held for name, stage in stages.items() if (held := _mutexes(stage))},
    )


definition_of = kept_by_digest(read_definition, DEFINITIONS_MAX)
"""The definition of this digest and content."""


def _level(path: str, workflow: Workflow, stages: Mapping[str, Stage]) -> Level:
    runner = stages.get(path)
    return Level(
        path=path,
        prefix=f"{path}/" if path else "",
        workflow=workflow,
        graph=build_graph(workflow),
        inputs=run_inputs(workflow),
        choices=_grouped((stage.choice, stage.id) for stage in workflow.stages if stage.kind == "wait"),
        awaited=_grouped((stage.wait.stage, stage.id) for stage in workflow.stages if stage.wait),
        handed_in=inputs_for(runner, workflow) if runner else {},
        handed_out=outputs_for(runner) if runner else {},
    )


def _professions(stage: Stage, known: Mapping[str, str]) -> Mapping[str, str]:
    if stage.is_open:
        return known
    name = stage.profession or ""
    return {name: known[name]} if name in known else {}


def _mutexes(stage: Stage) -> tuple[str, ...]:
    """One run of a subflow at a time, so that the executions of the stages in it can be counted."""
    own = (stage.mutex,) if stage.mutex else ()
    return (*own, f"subflow:{stage.id}") if stage.kind == "subflow" else own


def _grouped(pairs: Iterable[tuple[str | None, str]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for key, name in pairs:
        if key is not None:
            groups.setdefault(key, []).append(name)
    return {key: tuple(names) for key, names in groups.items()}
