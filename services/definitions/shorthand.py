"""The short forms that people may write, turned into the full form that the model and the canonical JSON have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.definitions.duration import read_duration, read_time

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Misreading:
    """A part that is in no form that is known."""

    path: Path
    reason: str
    suggestion: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the file on its way to the full form; what is wrong with it is noted, not raised."""

    value: Any
    path: Path
    noted: list[Misreading]

    def inner(self, step: str | int, value: Any) -> _Part:
        return _Part(value, (*self.path, step), self.noted)

    def note(self, reason: str, suggestion: str, instead: Any) -> Any:
        self.noted.append(Misreading(path=self.path, reason=reason, suggestion=suggestion))
        return instead


_Rewrite = Callable[[_Part], Any]


def expand(value: Any) -> tuple[Any, list[Misreading]]:
    """Return the full form of a workflow as written, and what could not be read.

    Lengths of time become whole milliseconds, a text in the place of a list or a mapping becomes one. Whatever is of
    another shape than a short form is left to the model to judge.
    """
    noted: list[Misreading] = []
    return _WORKFLOW(_Part(value, (), noted)), noted


def _fields(rewrites: Mapping[str, _Rewrite]) -> _Rewrite:
    def rewrite(part: _Part) -> Any:
        if not isinstance(part.value, dict):
            return part.value
        full = dict(part.value)
        for name, rewrite_field in rewrites.items():
            if name in full:
                full[name] = rewrite_field(part.inner(name, full[name]))
        return full

    return rewrite


def _each(rewrite_item: _Rewrite) -> _Rewrite:
    def rewrite(part: _Part) -> Any:
        if not isinstance(part.value, list):
            return part.value
        return [rewrite_item(part.inner(index, item)) for index, item in enumerate(part.value)]

    return rewrite


def _parts(key: str, rewrite_item: _Rewrite) -> _Rewrite:
    """A list of mappings, of which each may be a text that stands for `key`, and the list may be its only entry."""

    def rewrite(part: _Part) -> Any:
        value = [] if part.value is None else [part.value] if isinstance(part.value, str | dict) else part.value
        if not isinstance(value, list):
            return value
        full = [{key: item} if isinstance(item, str) else item for item in value]
        return [rewrite_item(part.inner(index, item)) for index, item in enumerate(full)]

    return rewrite


def _read_names(part: _Part) -> Any:
    return [part.value] if isinstance(part.value, str) else [] if part.value is None else part.value


def _as_is(part: _Part) -> Any:
    return part.value


def _read_length(part: _Part) -> Any:
    return _milliseconds(part, read_duration, "a length of time with its unit", "write it like 200ms, 10m or 2h")


def _read_moment(part: _Part) -> Any:
    return _milliseconds(part, read_time, "a point of time", "write it like 2030-01-31T12:00:00Z")


def _milliseconds(part: _Part, read: Callable[[str], int], what: str, suggestion: str) -> Any:
    if part.value is None:
        return None
    if not isinstance(part.value, str):
        return part.note(f"{what} is expected, found `{part.value}`", suggestion, 1)
    try:
        return read(part.value)
    except ValueError as error:
        return part.note(str(error), suggestion, 1)


def _read_join(part: _Part) -> Any:
    value = part.value
    if value == "at_least":
        return part.note("`at_least` needs a number", "write {at_least: 2}", {})
    if isinstance(value, str):
        return {"mode": value}
    if isinstance(value, dict) and "mode" not in value:
        if "at_least" in value:
            return {"mode": "at_least", **value}
        return part.note("a join is one word or {at_least: N, rest: cancel|ignore}", "write active, all, any, each", {})
    return value


def _read_on_error(part: _Part) -> Any:
    value = part.value
    if value in ("fail", "skip"):
        return {"action": value}
    if isinstance(value, str):
        return part.note(f"`{value}` is not known here", f"write fail, skip or {{to: {value}}}", {})
    return {"action": "route", "routes": _EDGES(part)}


def _read_on_timeout(part: _Part) -> Any:
    if isinstance(part.value, str):
        return {"action": part.value}
    if isinstance(part.value, dict) and set(part.value) == {"escalate"}:
        return {"action": "escalate", "to": part.value["escalate"]}
    return part.value


def _read_inputs(part: _Part) -> Any:
    value = {} if part.value is None else part.value
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: {} for name in value}
    if not isinstance(value, dict):
        return value
    return {name: _read_input(inner) for name, inner in value.items()}


def _read_input(value: Any) -> Any:
    if value is None:
        return {}
    if isinstance(value, str):
        return {"type": value}
    if isinstance(value, dict) and "default" in value and "required" not in value:
        return {"required": False, **value}
    return value


_EDGES = _parts("to", _fields({"max_time": _read_length}))
_STAGE = _fields(
    {
        "input": _parts("name", _as_is),
        "output": _parts("name", _as_is),
        "join": _read_join,
        "next": _EDGES,
        "on_error": _read_on_error,
        "cancel": _read_names,
        "timeout": _read_length,
        "queue_timeout": _read_length,
        "heartbeat": _read_length,
        "retry": _fields({"backoff": _read_length, "max_backoff": _read_length, "on": _read_names}),
        "wait": _fields({"for": _read_length, "until": _read_moment}),
        "review": _fields({"by": _read_names, "timeout": _read_length, "on_timeout": _read_on_timeout}),
    }
)
_INNER = _fields({"inputs": _read_inputs, "timeout": _read_length, "stages": _each(_STAGE)})


def _read_subflows(part: _Part) -> Any:
    if not isinstance(part.value, dict):
        return {} if part.value is None else part.value
    return {name: _INNER(part.inner(name, _named(name, inner))) for name, inner in part.value.items()}


def _named(name: str, value: Any) -> Any:
    """A workflow in a file of another may do without an id: it has a name there."""
    return {"id": name, **value} if isinstance(value, dict) else value


_WORKFLOW = _fields(
    {"inputs": _read_inputs, "timeout": _read_length, "stages": _each(_STAGE), "subflows": _read_subflows}
)
