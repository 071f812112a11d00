"""Checks that whatever a workflow names is there: stages, professions, skills, variables and functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from services.definitions.dataflow import run_inputs, writers
from services.definitions.edge import Edge
from services.definitions.expression import FUNCTIONS, VARIABLES, Expression, ExpressionFailed, compile_expression
from services.definitions.finding import Findings
from services.definitions.problem import suggest
from services.definitions.stage import Stage

Professions = Mapping[str, Mapping[str, int]]
"""For each known profession, by id and by each alias, its skills and their levels."""

Path = tuple[str | int, ...]
_REVIEW_RESULT = frozenset({"approved", "round", "votes", "feedback"})


def check_stage_names(findings: Findings) -> None:
    """Ids are distinct, and whatever names a stage names one."""
    first: dict[str, int] = {}
    for index, stage in enumerate(findings.workflow.stages):
        if stage.id in first:
            line = findings.source.line_of("stages", first[stage.id], "id")
            reason = f"the id `{stage.id}` is taken by the stage in line {line}"
            findings.add(("stages", index, "id"), reason, "give each stage an id of its own")
        first.setdefault(stage.id, index)
    for path, name in _named_stages(findings.workflow.stages):
        if name not in first:
            findings.add(path, f"there is no stage `{name}`", suggest(name, first))


def _named_stages(stages: tuple[Stage, ...]) -> Iterator[tuple[Path, str]]:
    for index, stage in enumerate(stages):
        at: Path = ("stages", index)
        for path, edge in edges_of(index, stage):
            yield (*path, "to"), edge.to
        if stage.review and stage.review.on_reject:
            yield (*at, "review", "on_reject"), stage.review.on_reject
        if stage.wait and stage.wait.stage:
            yield (*at, "wait", "stage"), stage.wait.stage
        if stage.compensate:
            yield (*at, "compensate"), stage.compensate
        for position, name in enumerate(stage.cancel):
            yield (*at, "cancel", position), name


def edges_of(index: int, stage: Stage) -> Iterator[tuple[Path, Edge]]:
    """Yield the written edges of a stage with their places in the file: of `next`, then of `on_error`."""
    for position, edge in enumerate(stage.next):
        yield ("stages", index, "next", position), edge
    for position, edge in enumerate(stage.on_error.routes):
        yield ("stages", index, "on_error", position), edge


def check_professions(findings: Findings, professions: Professions) -> None:
    """Professions and skills are known, and a profession has the levels that a stage asks for."""
    for index, stage in enumerate(findings.workflow.stages):
        if stage.profession is not None:
            path: Path = ("stages", index, "profession")
            _check_profession(findings, path, stage.profession, professions)
            _check_skills(findings, index, stage, professions)
        elif stage.is_open:
            _check_open_skills(findings, index, stage, professions)
        for position, reviewer in enumerate(stage.review.by if stage.review else ()):
            if reviewer.startswith("profession:"):
                path = ("stages", index, "review", "by", position)
                _check_profession(findings, path, reviewer.partition(":")[2], professions)


def _check_profession(findings: Findings, path: Path, name: str, professions: Professions) -> None:
    if name not in professions:
        findings.add(path, f"the profession `{name}` is not known", suggest(name, professions))


def _check_skills(findings: Findings, index: int, stage: Stage, professions: Professions) -> None:
    skills = professions.get(stage.profession or "")
    if skills is None:
        return
    for skill, level in sorted(stage.skills.items()):
        path = ("stages", index, "skills", skill)
        if skill not in skills:
            findings.add(path, f"the profession `{stage.profession}` has no skill `{skill}`", suggest(skill, skills))
        elif level > skills[skill]:
            findings.warn(path, f"level {level} is asked for, `{stage.profession}` has {skills[skill]} as a rule")


def _check_open_skills(findings: Findings, index: int, stage: Stage, professions: Professions) -> None:
    known = {skill for skills in professions.values() for skill in skills}
    for skill in sorted(stage.skills):
        if skill not in known:
            findings.add(
                ("stages", index, "skills", skill), f"no profession has a skill `{skill}`", suggest(skill, known)
            )
    able = [name for name, skills in professions.items() if _has_levels(skills, stage.skills)]
    if stage.skills and known.issuperset(stage.skills) and not able:
        levels = " and ".join(f"{skill} {level}" for skill, level in sorted(stage.skills.items()))
        findings.warn(("stages", index, "skills"), f"no profession has {levels} as a rule")


def _has_levels(skills: Mapping[str, int], least: Mapping[str, int]) -> bool:
    return all(skills.get(skill, 0) >= level for skill, level in least.items())


def check_conditions(findings: Findings) -> None:
    """Every `when` compiles, and uses variables, fields and functions that there are."""
    inputs = run_inputs(findings.workflow)
    artifacts = {**writers(findings.workflow), **inputs}
    for index, stage in enumerate(findings.workflow.stages):
        for path, edge in edges_of(index, stage):
            if edge.when is not None:
                fields: dict[str, Collection[str]] = {"inputs": inputs.keys(), "artifacts": artifacts.keys()}
                if stage.kind == "review":
                    fields["result"] = _REVIEW_RESULT
                _check_condition(findings, (*path, "when"), edge.when, fields)


def _check_condition(findings: Findings, path: Path, text: str, fields: Mapping[str, Collection[str]]) -> None:
    try:
        expression = compile_expression(text)
    except ExpressionFailed as error:
        findings.add(path, str(error), "it is CEL, such as result.passed && result.score > 0.8")
        return
    for variable in sorted(expression.variables - set(VARIABLES)):
        findings.add(path, f"there is no variable `{variable}`", suggest(variable, VARIABLES))
    for function in sorted(expression.functions - FUNCTIONS):
        findings.add(path, f"there is no function `{function}`", suggest(function, FUNCTIONS))
    _check_fields(findings, path, expression, fields)


def _check_fields(
    findings: Findings, path: Path, expression: Expression, fields: Mapping[str, Collection[str]]
) -> None:
    for variable, known in fields.items():
        for field in sorted(expression.fields.get(variable) or ()):
            if field not in known:
                findings.add(path, f"there is no `{variable}.{field}`", suggest(field, known))
