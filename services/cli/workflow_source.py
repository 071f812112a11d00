"""A workflow file made ready to run: read, validated, its professions, programs and inner workflows found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.cli.failure import Wrong
from services.definitions.catalogue import Catalogue
from services.definitions.problem import DefinitionInvalid, Problem
from services.definitions.profession import Profession
from services.definitions.stage import Stage
from services.definitions.validation import require_valid
from services.definitions.workflow import Workflow, WorkflowFile, read_workflow


@dataclass(slots=True, kw_only=True)
class Prepared:
    """A workflow as a run keeps it, and all that it names by digest."""

    source: WorkflowFile
    warnings: list[Problem]
    professions: dict[str, str] = field(default_factory=dict)  # digests by id
    blobs: dict[str, bytes] = field(default_factory=dict)  # by digest

    @property
    def workflow(self) -> Workflow:
        return self.source.workflow


def read_source(path: Path) -> WorkflowFile:
    """Read a workflow file; raises DefinitionInvalid with all that is wrong in it, Wrong if it cannot be read."""
    try:
        return read_workflow(path.read_bytes(), str(path))
    except OSError as error:
        raise Wrong(f"{path} cannot be read: {error.strerror}") from error


def prepare(source: WorkflowFile, catalogue: Catalogue, *, outer: tuple[Path, ...] = ()) -> Prepared:
    """Validate and resolve; raises DefinitionInvalid. `outer` are the files that this one is an inner workflow of."""
    named = replace(source, workflow=_resolve(source.workflow, catalogue))
    warnings = list(require_valid(named, catalogue.levels()))
    prepared = Prepared(source=named, warnings=warnings)
    path = Path(source.file).absolute()
    stages = []
    for index, stage in enumerate(named.workflow.stages):
        for profession in _professions(stage, catalogue):
            prepared.professions[profession.id] = profession.digest()
            prepared.blobs[profession.digest()] = profession.to_json()
        located = _locate_programs(stage, catalogue, path.parent)
        stages.append(_embed(located, index, prepared, catalogue, (*outer, path)))
    workflow = named.workflow.model_copy(update={"stages": tuple(stages)})
    prepared.source = replace(named, workflow=workflow)
    prepared.blobs[workflow.digest()] = workflow.to_json()
    return prepared


def _resolve(workflow: Workflow, catalogue: Catalogue) -> Workflow:
    """Professions by their ids; unknown ones stay, to be complained of."""
    return workflow.model_copy(update={"stages": tuple(_resolve_stage(stage, catalogue) for stage in workflow.stages)})


def _resolve_stage(stage: Stage, catalogue: Catalogue) -> Stage:
    changed: dict[str, Any] = {}
    if stage.profession is not None:
        changed["profession"] = _id_of(stage.profession, catalogue)
    if stage.review is not None:
        by = tuple(_resolve_reviewer(reviewer, catalogue) for reviewer in stage.review.by)
        changed["review"] = stage.review.model_copy(update={"by": by})
    return stage.model_copy(update=changed) if changed else stage


def _resolve_reviewer(reviewer: str, catalogue: Catalogue) -> str:
    kind, _, name = reviewer.partition(":")
    return f"{kind}:{_id_of(name, catalogue)}" if kind == "profession" else reviewer


def _id_of(name: str, catalogue: Catalogue) -> str:
    found = catalogue.find(name)
    return found.id if found else name


def _professions(stage: Stage, catalogue: Catalogue) -> list[Profession]:
    reviewers = [r.partition(":")[2] for r in (stage.review.by if stage.review else ()) if r.startswith("profession:")]
    names = [*([stage.profession] if stage.profession else []), *reviewers]
    return [catalogue.require(name) for name in names]


def _locate_programs(stage: Stage, catalogue: Catalogue, directory: Path) -> Stage:
    """What a command names of the files beside the workflow becomes absolute, since workers run elsewhere."""
    profession = catalogue.find(stage.profession or "")
    agent = stage.agent or (profession.agent if profession else "")
    command = stage.parameters.get("command")
    if agent != "command" or not isinstance(command, list):
        return stage
    located = [_locate(part, directory) if isinstance(part, str) else part for part in command]
    return stage.model_copy(update={"parameters": {**stage.parameters, "command": located}})


def _locate(part: str, directory: Path) -> str:
    try:
        return str((directory / part).resolve()) if part and (directory / part).is_file() else part
    except (OSError, ValueError):  # too long for a name, or with a null character: no file
        return part


def _embed(stage: Stage, index: int, prepared: Prepared, catalogue: Catalogue, outer: tuple[Path, ...]) -> Stage:
    """An inner workflow that is a file is kept by digest, like its outer one."""
    if stage.subflow is None or stage.subflow.file is None:
        return stage
    path = (outer[-1].parent / stage.subflow.file).absolute()
    line = prepared.source.line_of("stages", index, "subflow", "file")
    if path in outer:
        reason = f"the workflow {stage.subflow.file} contains itself"
        raise DefinitionInvalid([Problem(file=prepared.source.file, line=line, field="subflow", reason=reason)])
    try:
        inner = prepare(read_source(path), catalogue, outer=outer)
    except Wrong as error:
        problem = Problem(file=prepared.source.file, line=line, field="subflow", reason=str(error))
        raise DefinitionInvalid([problem]) from error
    prepared.warnings.extend(inner.warnings)
    prepared.professions.update(inner.professions)
    prepared.blobs.update(inner.blobs)
    subflow = stage.subflow.model_copy(update={"digest": inner.workflow.digest()})
    return stage.model_copy(update={"subflow": subflow})


def stage_names(prepared: Prepared) -> Mapping[str, str]:
    """What each stage is called for people, by id, in the order of the file."""
    return {stage.id: stage.name or "" for stage in prepared.workflow.stages}
