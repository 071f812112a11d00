"""What the model refuses, told in the words of the file instead of those of the validating library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from services.definitions.document import Document
from services.definitions.field import ARTIFACT_PATTERN, REVIEWER_PATTERN, STAGE_PATTERN
from services.definitions.problem import Problem, suggest
from services.definitions.shorthand import Misreading

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping of fields",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "tuple_type": "a list",
    "list_type": "a list",
}
_BOUNDS = {
    "greater_than_equal": "ge",
    "less_than_equal": "le",
    "string_too_short": "min_length",
    "string_too_long": "max_length",
    "too_short": "min_length",
    "too_long": "max_length",
}


def explain(error: ValidationError, document: Document, model: type[BaseModel] | None = None) -> Iterator[Problem]:
    """Turn each thing that the model (a workflow, if none is named) refused into a Problem with its line."""
    entries = error.errors(include_url=False)
    inside = {tuple(entry["loc"])[:-1] for entry in entries}
    for entry in entries:
        path = tuple(entry["loc"])
        if entry["type"] == "too_short" and path in inside:
            continue  # the entries that it misses are those that were refused
        reason, suggestion = _sentence(entry, path, model)
        yield Problem(
            file=document.file,
            line=document.place.line_of(path),
            field=name_field(document.value, path),
            reason=reason,
            suggestion=suggestion,
        )


def explain_misreading(part: Misreading, document: Document) -> Problem:
    """Turn a part in no known form into a Problem with the line of the file."""
    return Problem(
        file=document.file,
        line=document.place.line_of(part.path),
        field=name_field(document.value, part.path),
        reason=part.reason,
        suggestion=part.suggestion,
    )


def name_field(value: Any, path: tuple[str | int, ...]) -> str:
    """Return `stage 'x', next[0].to` for a path; a stage is called by its id where it has one."""
    if len(path) >= 2 and path[0] == "stages":
        rest = _dotted(path[2:])
        return _stage_name(value, path[1]) + (f", {rest}" if rest else "")
    return _dotted(path)


def _stage_name(value: Any, index: str | int) -> str:
    stages = value.get("stages") if isinstance(value, dict) else None
    if isinstance(stages, list) and isinstance(index, int) and index < len(stages):
        stage = stages[index]
        if isinstance(stage, dict) and isinstance(stage.get("id"), str):
            return f"stage '{stage['id']}'"
    return f"stages[{index}]"


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _sentence(entry: Any, path: tuple[str | int, ...], model: type[BaseModel] | None) -> tuple[str, str]:
    kind, found, context = entry["type"], entry["input"], entry.get("ctx", {})
    if kind == "definition":
        return context["reason"], ""
    if kind == "missing":
        return f"the field `{path[-1]}` is missing", f"add `{path[-1]}:`"
    if kind == "extra_forbidden":
        return f"the field `{path[-1]}` is not known here", suggest(str(path[-1]), _known_fields(path[:-1], model))
    if kind == "literal_error":
        known = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"`{found}` is not known here", suggest(str(found), known)
    if kind == "string_pattern_mismatch":
        return f"`{found}` cannot be a name here", _PATTERN_HELP.get(context["pattern"], "")
    if kind in _KINDS:
        return f"{_KINDS[kind]} is expected, found {_shown(found)}", ""
    if kind in _BOUNDS:
        limit = context[_BOUNDS[kind]]
        side = "at least" if _BOUNDS[kind] in ("ge", "min_length") else "at most"
        unit = "" if kind.endswith("equal") else " characters" if kind.startswith("string") else " entries"
        return f"must be {side} {limit}{unit}, found {_shown(found)}", ""
    return entry["msg"], ""


_PATTERN_HELP = {
    STAGE_PATTERN: "use letters, digits, `_`, `-` and `.`",
    ARTIFACT_PATTERN: "use letters, digits, `_`, `-` and `.`, after `workspace:` if it is shared",
    REVIEWER_PATTERN: "write role:NAME, profession:NAME, person:NAME or instance:NAME",
}


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = str(value)
    return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"


def _known_fields(path: tuple[str | int, ...], root: type[BaseModel] | None) -> list[str]:
    """Return the fields that the model has where `path` leads."""
    from services.definitions.workflow import Workflow

    model: type[BaseModel] = root or Workflow
    for step in path:
        if isinstance(step, int):
            continue
        inner = next((f for name, f in model.model_fields.items() if step in (name, f.alias)), None)
        model = _model_in(inner.annotation if inner else None) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found:
            return found
    return None
