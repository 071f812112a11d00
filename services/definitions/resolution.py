"""A workflow with the professions that it names found, and what it must bring along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.definitions.catalogue import Catalogue
from services.definitions.profession import Profession
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow


def resolve(workflow: Workflow, catalogue: Catalogue) -> Workflow:
    """Return the workflow, subflows too, with professions by their ids; unknown ones stay, to be complained of."""
    changed: dict[str, Any] = {"stages": tuple(_resolve_stage(stage, catalogue) for stage in workflow.stages)}
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


def professions_of(workflow: Workflow, catalogue: Catalogue) -> Iterator[Profession]:
    """Yield the professions that its stages name, those of subflows too; raises ProfessionUnknown."""
    for inner in workflow.subflows.values():
        yield from professions_of(inner, catalogue)
    for stage in workflow.stages:
        if stage.profession:
            yield catalogue.require(stage.profession)
        for reviewer in stage.review.by if stage.review else ():
            kind, _, name = reviewer.partition(":")
            if kind == "profession":
                yield catalogue.require(name)
