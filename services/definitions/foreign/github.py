"""Graphs of jobs with `needs`, as GitHub Actions has them: a job becomes a stage, its `run` steps a shell program."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from typing import Any

from services.definitions.foreign.translation import Translation, mapping

CELLS_MAX = 256
"""Most combinations of a matrix."""

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_KNOWN = {
    "name", "needs", "steps", "strategy", "timeout-minutes", "continue-on-error", "concurrency", "env", "if", "runs-on",
}  # fmt: skip


def translate(translation: Translation) -> dict[str, Any]:
    """Our form of it; raises DefinitionInvalid for what is no graph of jobs."""
    value = translation.document.value
    jobs = mapping(value.get("jobs"))
    if not jobs:
        raise translation.refuse("there are no `jobs`")
    translation.lose_fields("workflow", value, {"name", "jobs", "env"}, "a run is started by whoever asks for it")
    translation.lose("jobs", "a job that fails ends the whole run; write on_error: skip where others shall go on")
    stages: dict[str, list[dict[str, Any]]] = {
        job: list(_stages(translation, job, mapping(job_value), mapping(value.get("env"))))
        for job, job_value in jobs.items()
    }
    for job, job_value in jobs.items():
        _link(translation, job, mapping(job_value), stages)
    name = str(value.get("name") or "imported")
    return {"id": translation.name(name), "name": name, "stages": [each for group in stages.values() for each in group]}


def _link(translation: Translation, job: str, value: dict[str, Any], stages: dict[str, list[dict[str, Any]]]) -> None:
    needs = value.get("needs") or []
    for need in [needs] if isinstance(needs, str) else needs:
        if need not in stages:
            raise translation.refuse(f"the job `{job}` needs `{need}`, which is not there", "jobs", job)
        for before, after in itertools.product(stages[need], stages[job]):
            before.setdefault("next", []).append(after["id"])
            after["join"] = "all"


def _stages(translation: Translation, job: str, value: dict[str, Any], env: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One for each cell of its matrix."""
    where = f"jobs.{job}"
    translation.lose_fields(where, value, _KNOWN)
    if "runs-on" in value:
        translation.lose(f"{where}.runs-on", "an instance runs where its node is; ask for it by profession")
    if "if" in value:
        translation.lose(f"{where}.if", f"the condition `{value['if']}` speaks of what only GitHub knows")
    for cell in _cells(translation, where, mapping(mapping(value.get("strategy")).get("matrix"))):
        names = [str(part) for part in cell.values()]
        stage: dict[str, Any] = {"id": translation.name("_".join([job, *names]))}
        if "name" in value:
            stage["name"] = _filled(translation, f"{where}.name", str(value["name"]), cell)
        stage |= {"profession": translation.profession, **dict(_options(translation, where, value))}
        yield stage | _work(translation, where, value, {**env, **mapping(value.get("env"))}, cell)


def _options(translation: Translation, where: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(minutes := value.get("timeout-minutes"), int | float):
        yield "timeout", f"{round(minutes * 60)}s"
    if value.get("continue-on-error") is True:
        yield "on_error", "skip"
    group = value.get("concurrency")
    if group := mapping(group).get("group", group):
        yield "mutex", str(group)[:200]
        translation.lose(f"{where}.concurrency", "a mutex holds within one run; jobs of other runs are not waited for")


def _cells(translation: Translation, where: str, matrix: dict[str, Any]) -> list[dict[str, Any]]:
    axes = {
        name: values
        for name, values in matrix.items()
        if isinstance(values, list) and name not in ("include", "exclude")
    }
    for name in matrix.keys() - axes.keys():
        translation.lose(f"{where}.strategy.matrix.{name}", "only plain lists of values are multiplied out")
    cells = [dict(zip(axes, cell, strict=True)) for cell in itertools.product(*axes.values())]
    if len(cells) > CELLS_MAX:
        raise translation.refuse(f"the matrix has {len(cells)} cells, more than {CELLS_MAX}", *where.split("."))
    return cells


def _work(
    translation: Translation, where: str, value: dict[str, Any], env: dict[str, Any], cell: dict[str, Any]
) -> dict[str, Any]:
    lines, told = ["set -e"], []
    lines += [
        f"export {name}={shlex.quote(_filled(translation, f'{where}.env.{name}', str(text), cell))}"
        for name, text in env.items()
    ]
    steps = value.get("steps")
    for number, step in enumerate(steps if isinstance(steps, list) else []):
        at, fields = f"{where}.steps[{number}]", mapping(step)
        if "run" in fields:
            lines.append(_filled(translation, f"{at}.run", str(fields["run"]).rstrip(), cell))
            translation.lose_fields(at, fields, {"run", "name", "id"})
        else:
            uses = str(fields.get("uses", step))
            translation.lose(f"{at}.uses", f"the action `{uses}` is no program of ours")
            told.append(uses)
    if len(lines) == 1 + len(env):
        return {"instructions": "Do what these actions did: " + ", ".join(told)} if told else {}
    script = "\n".join([*lines, """echo '{"ok": true}'"""])
    return {"agent": "command", "with": {"command": ["sh", "-c", script]}}


def _filled(translation: Translation, where: str, text: str, cell: dict[str, Any]) -> str:
    """Values of the matrix in their places; other expressions stay and are told."""

    def put(found: re.Match[str]) -> str:
        kind, _, name = found[1].strip().partition(".")
        if kind == "matrix" and name in cell:
            return str(cell[name])
        translation.lose(where, f"the expression `{found[0]}` is not known here and stays as it is")
        return found[0]

    return _EXPRESSION.sub(put, text)
