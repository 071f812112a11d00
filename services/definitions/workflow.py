"""A workflow: the model of the file, how it is read, and the canonical form that a run keeps by digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from services.definitions.document import Document, Place, read_document
from services.definitions.field import NAMES_MAX, ArtifactName, DurationMs, Label, Model, Text
from services.definitions.option import ConflictPolicy, JsonSchema, ValueType
from services.definitions.problem import DefinitionInvalid
from services.definitions.refusal import explain, explain_misreading
from services.definitions.shorthand import expand
from services.definitions.stage import Stage

STAGES_MAX = 20_000
SUBFLOWS_MAX = 256
_NO_DEEPER: Any = {"subflows": {"__all__": {"subflows"}}}


class Input(Model):
    """An input of the run, as declared."""

    type: ValueType | None = None
    required: bool = True
    default: Any = None
    schema_: JsonSchema | None = Field(default=None, alias="schema")
    description: Text | None = None


class Workflow(Model):
    """A workflow with its defaults filled in. Names of professions stay as written, aliases too.

    `subflows` has every workflow that a stage of this one or of one of them runs, by digest or by name.
    """

    id: Label
    name: Label | None = None
    version: Label | None = None
    description: Text | None = None
    inputs: dict[ArtifactName, Input] = Field(default_factory=dict, max_length=NAMES_MAX)
    stages: tuple[Stage, ...]
    timeout_ms: DurationMs | None = Field(default=None, alias="timeout")
    on_conflict: ConflictPolicy = "fail"
    tags: dict[Label, Label] = Field(default_factory=dict, max_length=NAMES_MAX)
    professions: dict[Label, Label] | None = None  # digests by id, of those that its tasks may go to; filled in
    subflows: dict[Label, Workflow] = Field(default_factory=dict, max_length=SUBFLOWS_MAX)

    @field_validator("stages")
    @classmethod
    def _bound_stages(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if not 1 <= len(stages) <= STAGES_MAX:
            reason = f"a workflow has 1 to {STAGES_MAX} stages, this one has {len(stages)}"
            raise PydanticCustomError("definition", "{reason}", {"reason": reason})
        return stages

    @field_validator("subflows")
    @classmethod
    def _keep_subflows_flat(cls, subflows: dict[str, Workflow]) -> dict[str, Workflow]:
        for name, inner in subflows.items():
            if inner.subflows:
                reason = f"the subflow `{name}` has `subflows` of its own; the outermost workflow has them all"
                raise PydanticCustomError("definition", "{reason}", {"reason": reason})
        return subflows

    @classmethod
    def from_json(cls, data: bytes) -> Workflow:
        """Read the canonical form back; raises DefinitionInvalid if it is none."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise DefinitionInvalid(explain(error, Document(file="", value=None, place=Place(1)))) from error

    def to_json(self) -> bytes:
        """Return the canonical form: sorted keys, defaults filled in, absent options left out, UTF-8."""
        value = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_NO_DEEPER)
        if not value["subflows"]:
            del value["subflows"]
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def digest(self) -> str:
        """Return `sha256:` and the hex digest of the canonical form."""
        return "sha256:" + hashlib.sha256(self.to_json()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFile:
    """A workflow and the file that it was read from, so that whatever is wrong can be shown where it stands."""

    workflow: Workflow
    file: str
    place: Place

    def line_of(self, *path: str | int) -> int:
        """Return the line of a part, such as `("stages", 3, "next", 0, "when")`, or of what holds it."""
        return self.place.line_of(path)


def read_workflow(data: bytes, file: str) -> WorkflowFile:
    """Read a workflow from YAML, wrapped in `workflow:` or not; raises DefinitionInvalid with all that is wrong."""
    document = _unwrap(read_document(data, file))
    full, misread = expand(document.value)
    problems = [explain_misreading(part, document) for part in misread]
    try:
        # Through JSON, so that a file and its canonical form are judged by the same rules.
        workflow = Workflow.model_validate_json(json.dumps(full, allow_nan=False))
    except ValidationError as error:
        raise DefinitionInvalid([*problems, *explain(error, document)]) from error
    if problems:
        raise DefinitionInvalid(problems)
    return WorkflowFile(workflow=workflow, file=file, place=document.place)


def _unwrap(document: Document) -> Document:
    value = document.value
    if isinstance(value, dict) and "workflow" in value and "stages" not in value:
        return Document(file=document.file, value=value["workflow"], place=document.place.parts["workflow"])
    return document
