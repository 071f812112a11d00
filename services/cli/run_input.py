"""The inputs of a run as they are typed: `name=text`, `name=@file`, `name:=JSON`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cli.failure import Wrong
from services.cli.media_type import JSON, TEXT, media_type_of
from services.definitions.dataflow import read_names, run_inputs
from services.definitions.problem import DefinitionInvalid, Problem, suggest
from services.definitions.workflow import Input, WorkflowFile

_TYPED = re.compile(r"(?P<name>[^=]+?)(?P<sign>:=|=)(?P<value>.*)", re.DOTALL)
_JSON_TYPES = {"number", "integer", "boolean", "json", "list"}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "path": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value for an input: its bytes, and what they are as JSON where they are that."""

    content: bytes
    media_type: str
    value: Any


def read_inputs(source: WorkflowFile, typed: Iterable[str]) -> dict[str, Given]:
    """What the run gets, defaults too; raises DefinitionInvalid with everything that is missing or wrong."""
    declared = run_inputs(source.workflow)
    given = dict(_split(text) for text in typed)
    problems = [*_unknown(source, declared, given), *_missing(source, declared, given)]
    found: dict[str, Given] = {}
    for name, input_ in declared.items():
        try:
            if name in given:
                found[name] = _read(given[name], input_)
            elif input_.default is not None:
                found[name] = _of_value(input_.default)
        except ValueError as error:
            problems.append(_problem(source, name, f"the input `{name}` {error}"))
    if problems:
        raise DefinitionInvalid(problems)
    return found


def read_changes(source: WorkflowFile, typed: Iterable[str]) -> dict[str, Given]:
    """What changes of the inputs of a run that there is; raises DefinitionInvalid."""
    declared = run_inputs(source.workflow)
    given = dict(_split(text) for text in typed)
    problems = list(_unknown(source, declared, given))
    found: dict[str, Given] = {}
    for name in given.keys() & declared.keys():
        try:
            found[name] = _read(given[name], declared[name])
        except ValueError as error:
            problems.append(_problem(source, name, f"the input `{name}` {error}"))
    if problems:
        raise DefinitionInvalid(problems)
    return found


def _split(text: str) -> tuple[str, tuple[str, str]]:
    match = _TYPED.fullmatch(text)
    if match is None:
        raise Wrong(f"--input {text!r} must be name=text, name=@file or name:=JSON")
    return match["name"].strip(), (match["sign"], match["value"])


def _unknown(source: WorkflowFile, declared: Mapping[str, Input], given: Iterable[str]) -> Iterator[Problem]:
    for name in given:
        if name not in declared:
            yield _problem(source, "", f"the workflow has no input `{name}`", suggest(name, declared))


def _missing(source: WorkflowFile, declared: Mapping[str, Input], given: Iterable[str]) -> Iterator[Problem]:
    for name, input_ in declared.items():
        if input_.required and input_.default is None and name not in given:
            yield _problem(source, name, f"the input `{name}` is missing", f"give it with --input {name}=…")


def _problem(source: WorkflowFile, name: str, reason: str, suggestion: str = "") -> Problem:
    line = source.line_of(*_path(source, name))
    return Problem(file=source.file, line=line, field="", reason=reason, suggestion=suggestion)


def _path(source: WorkflowFile, name: str) -> tuple[str | int, ...]:
    """Where an input is declared, or first read."""
    if name in source.workflow.inputs or not name:
        return ("inputs", name)
    readers = (index for index, stage in enumerate(source.workflow.stages) if name in read_names(stage))
    return ("stages", next(readers, 0), "input")


def _read(typed: tuple[str, str], declared: Input) -> Given:
    """Raises ValueError with the end of a sentence that starts with the name of the input."""
    sign, value = typed
    if sign == ":=":
        given = _of_value(_parse(value))
    elif value.startswith("@"):
        given = _of_file(Path(value[1:]), declared)
    elif declared.type in _JSON_TYPES:
        given = _of_value(_parse(value))
    else:
        given = Given(content=value.encode(errors="surrogateescape"), media_type=TEXT, value=value)
    if declared.type == "path":
        given = _of_path(given.value)
    _check(given, declared)
    return given


def _of_value(value: Any) -> Given:
    if isinstance(value, str):
        return Given(content=value.encode(), media_type=TEXT, value=value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Given(content=text.encode(), media_type=JSON, value=value)


def _of_path(value: Any) -> Given:
    """Made absolute, since whoever reads it works elsewhere."""
    if not isinstance(value, str):
        raise ValueError(f"must be a path, found {json.dumps(value)}")
    path = Path(value).expanduser()
    if not path.exists():
        raise ValueError(f"names nothing that exists: {path}")
    return _of_value(str(path.absolute().resolve()))


def _of_file(path: Path, declared: Input) -> Given:
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read from {path}: {error.strerror}") from error
    media_type = media_type_of(path.name)
    if declared.type in _JSON_TYPES:
        return Given(content=content, media_type=JSON, value=_parse(content))
    return Given(content=content, media_type=media_type, value=content.decode(errors="replace"))


def _parse(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        shown = text if isinstance(text, str) else "the file"
        raise ValueError(f"must be JSON, found {shown[:60]!r}: {error}") from error


def _check(given: Given, declared: Input) -> None:
    kinds = _KINDS.get(declared.type or "")
    value = given.value
    if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        raise ValueError(f"must be of the type {declared.type}, found {json.dumps(value, ensure_ascii=False)[:60]}")
    if declared.schema_ is not None:
        _check_schema(value, declared.schema_)


def _check_schema(value: Any, schema: Any) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    error = next(iter(validator_for(schema, default=Draft202012Validator)(schema).iter_errors(value)), None)
    if error is not None:
        raise ValueError(f"does not match its schema at {error.json_path}: {error.message}")
