"""Workflows inside workflows: the outermost one has them all, by digest or by the name that its file gives them.

Where it is run, each stage of kind `subflow` is a level of its own, whose stages are called by their whole path, such
as `outer/inner`; so nothing that names a stage needs to say where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.definitions.dataflow import run_inputs, writers
from services.definitions.edge import Edge
from services.definitions.stage import Stage
from services.definitions.workflow import STAGES_MAX, Workflow

NESTING_MAX = 8
"""Most levels below the outermost workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misplaced:
    """What is wrong with a subflow: of which stage, where below it, why, and what would be right."""

    stage: int
    path: tuple[str | int, ...]
    reason: str
    suggestion: str = ""


class NestingInvalid(ValueError):
    """The subflows of a workflow cannot be put together."""


def inner_of(stage: Stage, subflows: Mapping[str, Workflow]) -> Workflow | None:
    """The workflow that a stage of kind `subflow` runs; None if the outermost workflow does not have it."""
    subflow = stage.subflow
    return subflows.get(subflow.digest or subflow.id or "") if subflow else None


def is_unread(stage: Stage) -> bool:
    """Whether a stage runs a workflow in a file that is still to be read in."""
    subflow = stage.subflow
    return subflow is not None and subflow.file is not None and subflow.digest is None


def inputs_for(stage: Stage, inner: Workflow) -> dict[str, str]:
    """For each input that the stage hands in, its name outside; what is listed in `input` keeps its name."""
    declared = run_inputs(inner)
    names = [part.name for part in stage.input] + ([stage.map.item] if stage.map else [])
    same = {name: name for name in names if name in declared}
    return {**same, **(stage.subflow.inputs if stage.subflow else {})}


def outputs_for(stage: Stage) -> dict[str, str]:
    """For each artifact that the stage hands out, its name inside; what is listed in `output` keeps its name."""
    return {**{part.name: part.name for part in stage.output}, **(stage.subflow.outputs if stage.subflow else {})}


def levels_of(workflow: Workflow, *, unread: bool = False) -> dict[str, Workflow]:
    """Every level by the path of the stage that runs it, the outermost under the empty path.

    With `unread`, files that are still to be read in are passed over. Raises NestingInvalid: a subflow that is not
    there, that contains itself, or too much of them.
    """
    levels: dict[str, Workflow] = {"": workflow}
    count = len(workflow.stages)
    pending: list[tuple[str, tuple[str, ...]]] = [("", ())]
    while pending:
        path, keys = pending.pop()
        for stage in levels[path].stages:
            if stage.subflow is None or (unread and is_unread(stage)):
                continue
            key = stage.subflow.digest or stage.subflow.id or ""
            inner = _require(stage, key, keys, workflow.subflows)
            levels[stage.id] = _with_paths(inner, stage.id)
            count += len(inner.stages)
            if count > STAGES_MAX:
                raise NestingInvalid(f"with its subflows the workflow has more than {STAGES_MAX} stages")
            pending.append((stage.id, (*keys, key)))
    return levels


def _require(stage: Stage, key: str, keys: tuple[str, ...], subflows: Mapping[str, Workflow]) -> Workflow:
    inner = subflows.get(key)
    if inner is None:
        assert stage.subflow is not None
        raise NestingInvalid(f"`{stage.id}` runs {stage.subflow.file or key}, which `subflows` does not have")
    if key in keys:
        raise NestingInvalid(f"`{stage.id}` runs a subflow that contains itself")
    if len(keys) >= NESTING_MAX:
        raise NestingInvalid(f"`{stage.id}` is more than {NESTING_MAX} levels deep")
    return inner


def _with_paths(workflow: Workflow, path: str) -> Workflow:
    return workflow.model_copy(update={"stages": tuple(_with_path(stage, path) for stage in workflow.stages)})


def _with_path(stage: Stage, path: str) -> Stage:
    changed: dict[str, Any] = {"id": f"{path}/{stage.id}"}
    if stage.next:
        changed["next"] = _edges(stage.next, path)
    if stage.on_error.routes:
        changed["on_error"] = stage.on_error.model_copy(update={"routes": _edges(stage.on_error.routes, path)})
    if stage.cancel:
        changed["cancel"] = tuple(f"{path}/{name}" for name in stage.cancel)
    if stage.wait and stage.wait.stage:
        changed["wait"] = stage.wait.model_copy(update={"stage": f"{path}/{stage.wait.stage}"})
    if stage.review and stage.review.on_reject:
        changed["review"] = stage.review.model_copy(update={"on_reject": f"{path}/{stage.review.on_reject}"})
    return stage.model_copy(update=changed)


def _edges(edges: tuple[Edge, ...], path: str) -> tuple[Edge, ...]:
    return tuple(edge.model_copy(update={"to": f"{path}/{edge.to}"}) for edge in edges)


def seal(workflow: Workflow) -> Workflow:
    """The same workflow with its subflows by digest, so that names of files put together never meet.

    Whatever no stage runs is left out. Raises NestingInvalid where `levels_of` does.
    """
    levels_of(workflow)
    sealed: dict[str, Workflow] = {}
    digests: dict[str, str] = {}

    def sealed_stage(stage: Stage) -> Stage:
        if stage.subflow is None:
            return stage
        key = stage.subflow.digest or stage.subflow.id or ""
        if key not in digests:
            inner = sealed_stages(workflow.subflows[key])
            digests[key] = inner.digest()
            sealed[digests[key]] = inner
        return stage.model_copy(update={"subflow": stage.subflow.model_copy(update={"digest": digests[key]})})

    def sealed_stages(level: Workflow) -> Workflow:
        return level.model_copy(update={"stages": tuple(sealed_stage(stage) for stage in level.stages)})

    outermost = sealed_stages(workflow)
    return outermost.model_copy(update={"subflows": dict(sorted(sealed.items()))})


def find_misplaced(workflow: Workflow, subflows: Mapping[str, Workflow]) -> Iterator[Misplaced]:
    """What is wrong with the subflows of one level; a file that is still to be read is not looked into."""
    for number, stage in enumerate(workflow.stages):
        subflow = stage.subflow
        if subflow is None or not (subflow.digest or subflow.id):
            continue
        inner = inner_of(stage, subflows)
        if inner is None:
            known = ", ".join(f"`{name}`" for name in sorted(subflows) if not name.startswith("sha256:"))
            reason = f"there is no subflow `{subflow.id or subflow.digest}`"
            suggestion = f"known are {known}" if known else "write it under `subflows:`, or name its `file`"
            yield Misplaced(stage=number, path=("subflow",), reason=reason, suggestion=suggestion)
            continue
        yield from _unfit(number, stage, inner)
        if stage.map and (name := _map_in(inner, subflows)):
            reason = f"each item of the map would go through the map `{name}` of its subflow, whose items have no name"
            yield Misplaced(stage=number, path=("map",), reason=reason, suggestion="map over one list of all of them")


def _unfit(number: int, stage: Stage, inner: Workflow) -> Iterator[Misplaced]:
    declared, given = run_inputs(inner), inputs_for(stage, inner)
    for name in sorted(given.keys() - declared.keys()):
        reason = f"its workflow has no input `{name}`"
        known = ", ".join(f"`{each}`" for each in sorted(declared)) or "none"
        yield Misplaced(stage=number, path=("subflow", "inputs", name), reason=reason, suggestion=f"it has {known}")
    for name, wanted in declared.items():
        if wanted.required and wanted.default is None and name not in given:
            reason = f"the input `{name}` of its workflow is missing"
            suggestion = f"write inputs: {{{name}: NAME}}"
            yield Misplaced(stage=number, path=("subflow", "inputs"), reason=reason, suggestion=suggestion)
    written = {*writers(inner), *declared}
    for outer, name in outputs_for(stage).items():
        if name not in written:
            reason = f"no stage of its workflow writes `{name}`"
            suggestion = f"write outputs: {{{outer}: NAME}}"
            yield Misplaced(stage=number, path=("subflow", "outputs"), reason=reason, suggestion=suggestion)
    for each in inner.stages:
        if each.compensate:
            reason = f"`{each.id}` of its workflow has `compensate`, which counts for the outermost workflow alone"
            yield Misplaced(stage=number, path=("subflow",), reason=reason, suggestion="compensate the whole subflow")


def _map_in(workflow: Workflow, subflows: Mapping[str, Workflow]) -> str:
    """The first stage with a map in a workflow or in what it runs."""
    seen, pending = set[int](), [workflow]
    while pending:
        level = pending.pop()
        seen.add(id(level))
        for stage in level.stages:
            if stage.map:
                return stage.id
            inner = inner_of(stage, subflows)
            if inner is not None and id(inner) not in seen:
                pending.append(inner)
    return ""
