"""What became of a workflow of another system: our form of it, and a list of what did not carry over."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from services.definitions.document import Document, read_document
from services.definitions.problem import DefinitionInvalid, Problem

_FIRST, _OTHER = re.compile(r"^[^\w]+"), re.compile(r"[^\w.\-]+")
NAME_CHARS_MAX = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something that did not carry over: where it stood, and what became of it."""

    where: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Translation:
    """A workflow on its way into our form."""

    document: Document
    profession: str  # of stages that do work
    losses: list[Loss] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def lose(self, where: str, reason: str) -> None:
        """Note what did not carry over."""
        if Loss(where=where, reason=reason) not in self.losses:
            self.losses.append(Loss(where=where, reason=reason))

    def lose_fields(
        self, where: str, fields: dict[str, Any], known: set[str], reason: str = "has no place here"
    ) -> None:
        """Note every field that nobody looks at."""
        for name in fields:
            if name not in known:
                self.lose(f"{where}.{name}", reason)

    def name(self, text: object) -> str:
        """A name for a stage that no other has."""
        name = stem = _OTHER.sub("_", _FIRST.sub("", str(text)))[:NAME_CHARS_MAX] or "stage"
        number = 2
        while name in self.taken:
            name, number = f"{stem}_{number}", number + 1
        self.taken.add(name)
        return name

    def refuse(self, reason: str, *path: str | int) -> DefinitionInvalid:
        """What is wrong with the file itself."""
        line = self.document.place.line_of(path)
        return DefinitionInvalid([Problem(file=self.document.file, line=line, field="", reason=reason)])


def begin(data: bytes, file: str, profession: str) -> Translation:
    """Read the file; raises DefinitionInvalid if it is no mapping."""
    translation = Translation(document=read_document(data, file), profession=profession)
    if not isinstance(translation.document.value, dict):
        raise translation.refuse("a workflow is a mapping of fields")
    return translation


def mapping(value: Any) -> dict[str, Any]:
    """A mapping as it is; nothing for anything else."""
    return value if isinstance(value, dict) else {}
