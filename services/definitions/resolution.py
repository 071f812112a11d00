"""A workflow with the professions that it names found, and what it must bring along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.definitions.catalogue import Catalogue
from services.definitions.nesting import is_unread, seal
from services.definitions.problem import DefinitionInvalid, Problem, suggest
from services.definitions.profession import Profession
from services.definitions.stage import Stage
from services.definitions.validation import require_valid, without_lines
from services.definitions.workflow import Workflow, WorkflowFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A workflow as a run keeps it, and all that it names by digest."""

    source: WorkflowFile
    warnings: tuple[Problem, ...]
    professions: Mapping[str, str]  # digests by id
    blobs: Mapping[str, bytes]  # by digest, the workflow itself too

    @property
    def workflow(self) -> Workflow:
        return self.source.workflow


def prepare(source: WorkflowFile, catalogue: Catalogue) -> Prepared:
    """Make a workflow ready to run; raises DefinitionInvalid with everything that is wrong with it.

    Inner workflows that are files of their own must have been read in.
    """
    named = replace(source, workflow=resolve(source.workflow, catalogue))
    if unread := list(_unread_files(named)):
        raise DefinitionInvalid(unread)
    warnings = require_valid(named, catalogue.levels())
    workflow = seal(named.workflow)
    professions = {each.id: each for each in professions_of(workflow, catalogue)}
    kept = {each.digest(): each.to_json() for each in professions.values()}
    return Prepared(
        source=replace(named, workflow=workflow),
        warnings=warnings,
        professions={name: each.digest() for name, each in sorted(professions.items())},
        blobs={**kept, workflow.digest(): workflow.to_json()},
    )


def recast(workflow: Workflow, professions: Mapping[str, str], file: str) -> WorkflowFile:
    """The workflow with other professions for some of its stages; raises DefinitionInvalid for a stage it lacks."""
    names = [stage.id for stage in workflow.stages]
    reasons = [(name, f"there is no stage `{name}` to give another profession") for name in sorted(professions)]
    unknown = [
        Problem(file=file, line=1, field="profession", reason=reason, suggestion=suggest(name, names))
        for name, reason in reasons
        if name not in names
    ]
    if unknown:
        raise DefinitionInvalid(unknown)
    stages = [
        stage.model_copy(update={"profession": professions[stage.id]}) if stage.id in professions else stage
        for stage in workflow.stages
    ]
    return without_lines(workflow.model_copy(update={"stages": tuple(stages)}), file)


def _unread_files(source: WorkflowFile) -> Iterator[Problem]:
    inner = [(("subflows", name), each) for name, each in source.workflow.subflows.items()]
    for path, workflow in [((), source.workflow), *inner]:
        for index, stage in enumerate(workflow.stages):
            if is_unread(stage):
                line = source.line_of(*path, "stages", index, "subflow", "file")
                reason = "an inner workflow cannot be a file here"
                suggestion = "write it under `subflows:` and name its `id`"
                yield Problem(file=source.file, line=line, field="subflow", reason=reason, suggestion=suggestion)


def resolve(workflow: Workflow, catalogue: Catalogue) -> Workflow:
    """Return the workflow, subflows too, with professions by their ids; unknown ones stay, to be complained of."""
    changed: dict[str, Any] = {"stages": tuple(_resolve_stage(stage, catalogue) for stage in workflow.stages)}
    changed["professions"] = {each.id: each.digest() for each in _candidates(workflow, catalogue)} or None
    if workflow.subflows:
        changed["subflows"] = {name: resolve(inner, catalogue) for name, inner in workflow.subflows.items()}
    return workflow.model_copy(update=changed)


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


def _candidates(workflow: Workflow, catalogue: Catalogue) -> Iterator[Profession]:
    """Yield those that the tasks of this workflow itself may go to: all there are if one of them names none."""
    if any(stage.is_open for stage in workflow.stages):
        yield from catalogue
        return
    for stage in workflow.stages:
        if stage.profession and (found := catalogue.find(stage.profession)):
            yield found


def professions_of(workflow: Workflow, catalogue: Catalogue) -> Iterator[Profession]:
    """Yield the professions that its tasks may go to and its reviews name, those of subflows too.

    Raises ProfessionUnknown.
    """
    for inner in workflow.subflows.values():
        yield from professions_of(inner, catalogue)
    if any(stage.is_open for stage in workflow.stages):
        yield from catalogue
    for stage in workflow.stages:
        if stage.profession:
            yield catalogue.require(stage.profession)
        for reviewer in stage.review.by if stage.review else ():
            kind, _, name = reviewer.partition(":")
            if kind == "profession":
                yield catalogue.require(name)
