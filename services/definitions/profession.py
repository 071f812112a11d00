"""A profession: the model of the file, how it is read, and the canonical form that is kept by digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from services.definitions.document import Document, Place, read_document
from services.definitions.field import Label, Model, Text
from services.definitions.problem import DefinitionInvalid
from services.definitions.profession_shorthand import expand_profession
from services.definitions.refusal import explain, explain_misreading
from services.definitions.resource_class import RESOURCE_CLASS_DEFAULT, RESOURCE_CLASSES, ResourceClass
from services.records.content import Resources

LEVEL_MAX = 10
SKILLS_MAX = 64
WORDS_MAX = 64
"""Most aliases of a profession or of a skill, task types, and neighbours in collaboration."""

EXAMPLES_MAX = 2_000
"""Most examples of tasks in one language."""

EXAMPLE_CHARACTERS_MAX = 2_000
TASKS_MAX = 1_000

HOSTS_MAX = 64
HOST_PATTERN = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?:[0-9]{1,5}$"

PROFESSION_PATTERN = r"^\w[\w.\-]*$"

ProfessionId = Annotated[str, StringConstraints(pattern=PROFESSION_PATTERN, max_length=100)]
Host = Annotated[str, StringConstraints(pattern=HOST_PATTERN, max_length=260)]
"""A name or address and a port, such as `api.example.com:443`; `*.` in front stands for all names below it."""

Words = Annotated[tuple[Label, ...], Field(max_length=WORDS_MAX)]
ExampleText = Annotated[str, StringConstraints(min_length=1, max_length=EXAMPLE_CHARACTERS_MAX)]
ExampleTexts = Annotated[tuple[ExampleText, ...], Field(max_length=EXAMPLES_MAX)]


class Wording(Model):
    """The same words in Chinese and English; in a file a plain text stands for the one language it is in."""

    zh: Text = ""
    en: Text = ""

    def say(self, language: str) -> str:
        """Return the words in `zh` or `en`, or in the other language where there are none."""
        return self.zh or self.en if language == "zh" else self.en or self.zh


class Skill(Model):
    """What somebody of the profession can do, how well, and what else it is called."""

    name: Label
    level: Annotated[int, Field(ge=1, le=LEVEL_MAX)]
    description: Wording = Wording()
    aliases: Words = ()


class Collaboration(Model):
    """The professions that work comes from and goes to, by id or alias."""

    upstream: Words = ()
    downstream: Words = ()


class Config(Model):
    """How tasks of the profession are run and judged."""

    preferred_model: Label | None = None
    max_concurrent_tasks: Annotated[int, Field(ge=1, le=TASKS_MAX)] = 1
    timeout_multiplier: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    quality_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0


class Network(Model):
    """What its workers may reach; nothing else where the driver can keep them from it."""

    hosts: Annotated[tuple[Host, ...], Field(max_length=HOSTS_MAX)] = ()


class Examples(Model):
    """Tasks as people would write them; the router learns from these."""

    zh: ExampleTexts = ()
    en: ExampleTexts = ()


class Profession(Model):
    """A profession with its defaults filled in."""

    id: ProfessionId
    name: Wording
    category: Label = "general"
    summary: Wording = Wording()
    aliases: Words = ()
    skills: Annotated[tuple[Skill, ...], Field(min_length=1, max_length=SKILLS_MAX)]
    task_types: Words = ()
    collaboration: Collaboration = Collaboration()
    config: Config = Config()
    agent: Label = "script"
    parameters: dict[str, Any] | None = Field(default=None, alias="with")
    network: Network | None = None
    resource_class: ResourceClass = RESOURCE_CLASS_DEFAULT
    instructions: Wording = Wording()
    examples: Examples = Examples()

    @field_validator("name")
    @classmethod
    def _require_name(cls, name: Wording) -> Wording:
        if not (name.zh or name.en):
            raise _refused("the name is empty, give it in `zh`, `en` or both")
        return name

    @model_validator(mode="after")
    def _require_distinct_skills(self) -> Profession:
        doubled = [name for name, count in Counter(skill.name for skill in self.skills).items() if count > 1]
        if doubled:
            raise _refused(f"the skill `{doubled[0]}` is listed twice, keep one of the two")
        return self

    @property
    def levels(self) -> dict[str, int]:
        """The level of each skill by its name."""
        return {skill.name: skill.level for skill in self.skills}

    @property
    def resources(self) -> Resources:
        """What an instance gets when nobody says more."""
        return RESOURCE_CLASSES[self.resource_class]

    @classmethod
    def from_json(cls, data: bytes) -> Profession:
        """Read the canonical form back; raises DefinitionInvalid if it is none."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            document = Document(file="", value=None, place=Place(1))
            raise DefinitionInvalid(explain(error, document, cls)) from error

    def to_json(self) -> bytes:
        """Return the canonical form: sorted keys, defaults filled in, absent options left out, UTF-8."""
        value = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def digest(self) -> str:
        """Return `sha256:` and the hex digest of the canonical form."""
        return "sha256:" + hashlib.sha256(self.to_json()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfessionFile:
    """A profession and the file that it was read from, so that whatever is wrong can be shown where it stands."""

    profession: Profession
    file: str
    place: Place

    def line_of(self, *path: str | int) -> int:
        """Return the line of a part, such as `("skills", 3, "level")`, or of what holds it."""
        return self.place.line_of(path)


def read_profession(data: bytes, file: str) -> ProfessionFile:
    """Read a profession from YAML, wrapped in `profession:` or not; raises DefinitionInvalid with all that is wrong."""
    document = _unwrap(read_document(data, file))
    full, misread = expand_profession(document.value)
    problems = [explain_misreading(part, document) for part in misread]
    try:
        # Through JSON, so that a file and its canonical form are judged by the same rules.
        profession = Profession.model_validate_json(json.dumps(full, allow_nan=False))
    except ValidationError as error:
        raise DefinitionInvalid([*problems, *explain(error, document, Profession)]) from error
    if problems:
        raise DefinitionInvalid(problems)
    return ProfessionFile(profession=profession, file=file, place=document.place)


def _unwrap(document: Document) -> Document:
    value = document.value
    if isinstance(value, dict) and "profession" in value and "skills" not in value:
        return Document(file=document.file, value=value["profession"], place=document.place.parts["profession"])
    return document


def _refused(reason: str) -> PydanticCustomError:
    return PydanticCustomError("definition", "{reason}", {"reason": reason})
