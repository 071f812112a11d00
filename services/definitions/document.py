"""A YAML file as plain JSON values that still know the lines they stand on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from services.definitions.problem import DefinitionInvalid, Problem

BYTES_MAX = 16 * 1024 * 1024
DEPTH_MAX = 64
VALUES_MAX = 2_000_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_RADIX = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(slots=True)
class Place:
    """The line of a value and the places of its parts."""

    line: int
    parts: dict[str | int, Place] = field(default_factory=dict)

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """Return the line of the innermost part on `path` that the file has."""
        place = self
        for step in path:
            inner = place.parts.get(step)
            if inner is None:
                break
            place = inner
        return place.line


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The value of a file and where each part of it stands."""

    file: str
    value: Any
    place: Place


def read_document(data: bytes, file: str) -> Document:
    """Read one YAML (1.2 core) document; raises DefinitionInvalid with the line.

    Values are what JSON knows. Anchors, aliases and `<<` work; `on`, `yes` and times stay text. Depth, bytes and the
    number of values (aliases counted as often as they are used) are bounded.
    """
    if len(data) > BYTES_MAX:
        raise _invalid(file, 1, f"the file has {len(data)} bytes, more than {BYTES_MAX}")
    loader = None
    try:
        loader = _LOADER(data)
        value, place = _Reader(loader, file).read()
    except yaml.YAMLError as error:
        raise _unreadable(error, file, data) from error
    except UnicodeDecodeError as error:
        raise _invalid(file, data[: error.start].count(b"\n") + 1, "the file is not UTF-8 text") from error
    finally:
        if loader is not None:
            loader.dispose()
    return Document(file=file, value=value, place=place)


def _invalid(file: str, line: int, reason: str, suggestion: str = "") -> DefinitionInvalid:
    return DefinitionInvalid([Problem(file=file, line=line, field="", reason=reason, suggestion=suggestion)])


def _unreadable(error: yaml.YAMLError, file: str, data: bytes) -> DefinitionInvalid:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is malformed"
    position = getattr(error, "position", None)
    line = mark.line + 1 if mark else data[: position or 0].count(b"\n") + 1
    return _invalid(file, line, f"the file cannot be read as YAML: {what}", "check indentation, quotes and brackets")


class _Reader:
    """Builds values from the events of one YAML stream."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader = loader
        self._file = file
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0

    def read(self) -> tuple[Any, Place]:
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise _invalid(self._file, 1, "the file is empty")
        result = self._value(self._next(), 0)
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._refuse(event, "the file holds a second document", "keep one document in a file")
        return result

    def _next(self) -> Any:
        return self._loader.get_event()

    def _refuse(self, event: Any, reason: str, suggestion: str = "") -> DefinitionInvalid:
        return _invalid(self._file, event.start_mark.line + 1, reason, suggestion)

    def _unknown_tag(self, event: Any) -> DefinitionInvalid:
        return self._refuse(event, f"the tag `{event.tag.replace(_TAG, '!!')}` is not known here", "leave the tag out")

    def _value(self, event: Any, depth: int) -> tuple[Any, Place]:
        self._count += 1
        if self._count > VALUES_MAX or depth > DEPTH_MAX:
            raise self._refuse(event, f"the file holds more than {VALUES_MAX} values or {DEPTH_MAX} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        place = Place(event.start_mark.line + 1)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif event.tag not in (None, _TAG + "seq", _TAG + "map"):
            raise self._unknown_tag(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = list(self._items(place, depth))
        else:
            value = self._mapping(place, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._count - before + 1)
        return value, place

    def _alias(self, event: Any) -> tuple[Any, Place]:
        if event.anchor not in self._anchors:
            raise self._refuse(event, f"the alias `*{event.anchor}` has no anchor before it")
        value, count = self._anchors[event.anchor]
        self._count += count
        return value, Place(event.start_mark.line + 1)

    def _items(self, place: Place, depth: int) -> Iterator[Any]:
        index = 0
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            value, place.parts[index] = self._value(event, depth + 1)
            index += 1
            yield value

    def _mapping(self, place: Place, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            value, inner = self._value(self._next(), depth + 1)
            if key == "<<" and not event.style:
                self._merge(event, value, merged)
                continue
            if key in own:
                raise self._refuse(event, f"the field `{key}` is written twice", "keep one of the two")
            inner.line = event.start_mark.line + 1 if isinstance(value, (str, int, float)) else inner.line
            own[key], place.parts[key] = value, inner
        return {**merged, **own} if merged else own

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(event, "a field name must be text")
        self._count += 1
        return str(event.value)

    def _merge(self, event: Any, value: Any, merged: dict[str, Any]) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise self._refuse(event, "`<<` takes a mapping or a list of mappings")
            for key, inner in source.items():
                merged.setdefault(key, inner)

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag not in (None, "!", *(_TAG + name for name in ("str", "int", "float", "bool", "null"))):
            raise self._unknown_tag(event)
        if tag in ("!", _TAG + "str") or (tag is None and not event.implicit[0]):
            return event.value
        if _INFINITE.fullmatch(event.value):
            raise self._refuse(event, f"`{event.value}` is not a finite number")
        return self._plain(event)

    def _plain(self, event: Any) -> Any:
        text: str = event.value
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return text[0] in "tT"
        if _INTEGER.fullmatch(text):
            return int(text)
        if _RADIX.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                raise self._refuse(event, f"`{text}` is too large a number")
            return number
        return text
