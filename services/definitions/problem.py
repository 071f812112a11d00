"""What is wrong with a definition, said so that its author can put it right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: where it stands, why it is wrong and what would be right."""

    file: str
    line: int
    field: str
    reason: str
    suggestion: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.field}: " if self.field else "")
        return where + self.reason + (f"; {self.suggestion}" if self.suggestion else "")


class DefinitionInvalid(ValueError):
    """A file that cannot be used; `problems` says everything that was found wrong, in the order of the lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.field, problem.reason)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `did you mean …?` for the nearest known word, else the list of known words, else nothing."""
    words = sorted(set(known))
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    if not words:
        return ""
    shown = ", ".join(f"`{name}`" for name in words[:12])
    return f"known are {shown}" + (f" and {len(words) - 12} more" if len(words) > 12 else "")
