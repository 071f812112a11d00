"""Bodies from Avro's binary encoding, by a function made for each record type.

It takes only the one encoding that `body_writer` gives: shortest numbers, one block a collection, truths that are 0 or
1, no key twice. Whatever else there is, it does not read, and the codec looks closer, so that what it does read needs
no encoding again to be compared, and no validation.
"""

from __future__ import annotations

import struct
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from bus.record import Value

_UNREAD = (IndexError, ValueError, OverflowError, struct.error)
_SMALL = tuple((byte >> 1) ^ -(byte & 1) for byte in range(128))


def _long(body: bytes, at: int) -> tuple[int, int]:
    """A number of several bytes, and where it ends; ValueError unless it is as short as can be."""
    found = shift = 0
    while (byte := body[at]) > 127:
        found |= (byte & 127) << shift
        shift += 7
        at += 1
    found |= byte << shift
    if not byte or found >= 2**64:
        raise ValueError("a number that is longer than it need be, or than 64 bits")
    return (found >> 1) ^ -(found & 1), at + 1


def _length(body: bytes, at: int) -> tuple[int, int]:
    found, at = _long(body, at) if body[at] > 127 else (_SMALL[body[at]], at + 1)
    if found < 0:
        raise ValueError("a length below nothing")
    return found, at


def reader_of(kind: type[Value]) -> Callable[[bytes, int], Any | None] | None:
    """A function from bytes, and where the body starts in them, to a record; it gives None for what it does not read.

    There is none for a type that has validators of its own.
    """
    if not _is_plain(kind):
        return None
    slots = {name: BaseModel.__dict__[name].__set__ for name in BaseModel.__slots__}
    namespace: dict[str, Any] = {
        "small": _SMALL,
        "long": _long,
        "length": _length,
        "double": struct.Struct("<d").unpack_from,
        "put_dict": slots["__dict__"],
        "put_set": slots["__pydantic_fields_set__"],
        "put_extra": slots["__pydantic_extra__"],
        "put_private": slots["__pydantic_private__"],
    }
    read = _Readers(namespace).group(kind)

    def read_body(value: bytes, start: int) -> Any | None:
        try:
            record, end = namespace[read](value, value.decode("latin-1"), start)
        except _UNREAD:
            return None
        return record if end == len(value) else None

    return read_body


def _is_plain(annotation: Any) -> bool:
    """Whether its fields may be set without a validation: what was read has the types that they are declared with."""
    if isinstance(annotation, type) and issubclass(annotation, Value):
        decorators = annotation.__pydantic_decorators__
        own = (decorators.validators, decorators.field_validators, decorators.root_validators)
        if any((*own, decorators.model_validators)) or annotation.__pydantic_post_init__:
            return False
        return all(not info.metadata and _is_plain(info.annotation) for info in annotation.model_fields.values())
    return all(_is_plain(argument) for argument in typing.get_args(annotation))


class _Readers:
    """Functions by the name of their group, made once each."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._names: dict[type[Value], str] = {}
        self._variables = 0

    def group(self, kind: type[Value]) -> str:
        """The name of the function that reads a group of fields: from bytes, the same as Latin-1, and a place in them,
        to the group and the place behind it."""
        if kind not in self._names:
            name = self._names[kind] = f"read_{len(self._names)}_{kind.__name__}"
            # Made of names of fields and of nothing else, so that no input ever becomes code.
            exec(self._source(name, kind), self._namespace)  # noqa: S102
        return self._names[kind]

    def _source(self, name: str, kind: type[Value]) -> str:
        lines, fields = [f"def {name}(b, t, i):"], []
        for field, info in kind.model_fields.items():
            variable = self._variable()
            lines += [f" {line}" for line in self._lines(variable, info.annotation)]
            fields.append(f"{field!r}: {variable}")
        self._namespace[f"kind_{name}"] = kind
        self._namespace[f"new_{name}"] = object.__new__
        self._namespace[f"set_{name}"] = set(kind.model_fields)  # shared: nobody changes that of a frozen record
        lines += [
            f" record = new_{name}(kind_{name})",
            f" put_dict(record, {{{', '.join(fields)}}})",
            f" put_set(record, set_{name})",
            " put_extra(record, None)",
            " put_private(record, None)",
            " return record, i",
        ]
        return "\n".join(lines)

    def _variable(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _lines(self, variable: str, annotation: Any) -> list[str]:
        """Statements that read into a variable and move `i` behind it."""
        if annotation is str:
            ascii_only = [f"if not {variable}.isascii(): {variable} = {variable}.encode('latin-1').decode()"]
            return [*_sliced(variable, "t"), *ascii_only]
        if annotation is bytes:
            return _sliced(variable, "b")
        if annotation is int:
            return [
                f"{variable} = b[i]",
                f"if {variable} > 127: {variable}, i = long(b, i)",
                "else:",
                f" {variable} = small[{variable}]",
                " i += 1",
            ]
        if annotation is float:
            return [f"{variable}, = double(b, i)", "i += 8"]
        if annotation is bool:
            return [f"{variable} = (False, True)[b[i]]", "i += 1"]
        if isinstance(annotation, type) and issubclass(annotation, Value):
            return [f"{variable}, i = {self.group(annotation)}(b, t, i)"]
        return self._composed(variable, typing.get_origin(annotation), typing.get_args(annotation))

    def _composed(self, variable: str, origin: Any, arguments: tuple[Any, ...]) -> list[str]:
        if origin in (typing.Union, types.UnionType):
            inner = arguments[0] if arguments[1] is type(None) else arguments[1]
            lines = [f" {line}" for line in self._lines(variable, inner)]
            none = [f"elif not {variable}: {variable} = None", "else: raise ValueError('no such branch')"]
            return [f"{variable} = b[i]", "i += 1", f"if {variable} == 2:", *lines, *none]
        count, item, key = self._variable(), self._variable(), self._variable()
        if origin is Mapping:
            read = [*self._lines(key, str), *self._lines(item, arguments[1]), f"{variable}[{key}] = {item}"]
            start, end = "{}", [f"if len({variable}) != {count}: raise ValueError('a key twice')"]
        else:
            read = [*self._lines(item, arguments[0]), f"{variable}.append({item})"]
            start, end = "[]", [f"{variable} = tuple({variable})"]
        some = [
            f"{count}, i = length(b, i)",
            f"{variable} = {start}",
            f"for _ in range({count}):",  # each item takes a byte at least, so that a lie ends with the bytes
            *(f" {line}" for line in read),
            *end,
            "if b[i]: raise ValueError('a second block')",
        ]
        otherwise = f"else: {variable} = {'{}' if origin is Mapping else '()'}"
        return ["if b[i]:", *(f" {line}" for line in some), otherwise, "i += 1"]


def _sliced(variable: str, source: str) -> list[str]:
    """A slice of a source; one that reaches beyond the end is found by what stands behind it, or by where it ends."""
    return [
        f"{variable} = b[i]",
        f"if {variable} & 129: {variable}, i = length(b, i)",  # of several bytes, or below nothing
        "else:",
        f" {variable} >>= 1",
        " i += 1",
        f"i += {variable}",
        f"{variable} = {source}[i - {variable}:i]",
    ]
