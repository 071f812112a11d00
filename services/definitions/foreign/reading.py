"""A workflow of another system as a file of ours, valid by our own rules, with what did not carry over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from services.definitions.foreign import github, serverless
from services.definitions.foreign.translation import Loss, Translation, begin
from services.definitions.problem import Problem
from services.definitions.reference import Professions
from services.definitions.validation import validate
from services.definitions.workflow import read_workflow

PROFESSION_DEFAULT = "software_developer"

FORMATS: Mapping[str, Callable[[Translation], dict[str, Any]]] = {
    "serverless": serverless.translate,
    "github": github.translate,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Our file, what is wrong with it by our rules, and what it lacks of the other."""

    format: str
    text: str
    losses: tuple[Loss, ...]
    problems: tuple[Problem, ...]

    @property
    def is_valid(self) -> bool:
        return all(problem.severity == "warning" for problem in self.problems)


def import_workflow(
    data: bytes,
    file: str,
    *,
    format_: str = "auto",
    profession: str = PROFESSION_DEFAULT,
    professions: Professions | None = None,
) -> Imported:
    """Translate a file; raises DefinitionInvalid if it is no workflow of that format."""
    translation = begin(data, file, profession)
    chosen = format_ if format_ != "auto" else _recognise(translation)
    flow = FORMATS[chosen](translation)
    text = yaml.safe_dump({"workflow": flow}, allow_unicode=True, sort_keys=False, width=110)
    problems = validate(read_workflow(text.encode(), "imported"), professions)
    return Imported(format=chosen, text=text, losses=tuple(translation.losses), problems=problems)


def _recognise(translation: Translation) -> str:
    value = translation.document.value
    if "jobs" in value:
        return "github"
    if "document" in value and "do" in value:
        return "serverless"
    raise translation.refuse("this is neither a graph of `jobs` nor a `document` with a `do` list")
