"""A digest of a state: equal for equal states, in any process, under any hash seed, time zone and locale.

It counts what a state says, not how it is laid out in memory: two `Deadlines` with the same times are the same. Values
of different types never have the same bytes; records and dataclasses count by name and by the names of their fields.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel

from bus.deadline import Deadlines


def digest_of(value: Any) -> str:
    """32 hex digits for a value made of what states are made of; TypeError for anything else."""
    return hashlib.blake2b(canonical_bytes(value), digest_size=16).hexdigest()


def canonical_bytes(value: Any) -> bytes:
    """The bytes that the digest is taken of: for each value a type tag, its length, and its content."""
    if (write := _WRITERS.get(type(value))) is not None:
        return write(value)
    for kind, write in _KINDS:
        if isinstance(value, kind):
            return write(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _named(value, [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)])
    raise TypeError(f"a {type(value).__qualname__} has no canonical bytes; state is made of immutable values")


def _tagged(tag: bytes, content: bytes) -> bytes:
    return b"%s%d:%s" % (tag, len(content), content)


def _float(value: float) -> bytes:
    return _tagged(b"f", b"nan" if value != value else struct.pack(">d", value))


def _sequence(tag: bytes, values: Iterable[Any]) -> bytes:
    return _tagged(tag, b"".join(map(canonical_bytes, values)))


def _set(values: Iterable[Any]) -> bytes:
    return _tagged(b"S", b"".join(sorted(map(canonical_bytes, values))))


def _mapping(values: Mapping[Any, Any]) -> bytes:
    pairs = sorted((canonical_bytes(key), canonical_bytes(value)) for key, value in values.items())
    return _tagged(b"m", b"".join(key + value for key, value in pairs))


def _named(value: Any, fields: Iterable[tuple[str, Any]]) -> bytes:
    parts = [canonical_bytes(type(value).__qualname__)]
    for name, content in fields:
        parts += canonical_bytes(name), canonical_bytes(content)
    return _tagged(b"r", b"".join(parts))


def _tuple(value: tuple[Any, ...]) -> bytes:
    names = getattr(value, "_fields", None)
    return _named(value, zip(names, value, strict=True)) if names else _sequence(b"t", value)


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"n",
    bool: lambda value: b"T" if value else b"F",
    int: lambda value: _tagged(b"i", b"%d" % value),
    float: _float,
    str: lambda value: _tagged(b"s", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: _tagged(b"b", value),
    list: lambda value: _sequence(b"l", value),
    set: _set,
    frozenset: _set,
}
"""By exact type, so that a bool is no int and an enum no str."""

_KINDS: tuple[tuple[Any, Callable[[Any], bytes]], ...] = (
    (Enum, lambda value: _named(value, [("name", value.name)])),
    (tuple, _tuple),
    (Deadlines, lambda value: _named(value, [("times", value.times)])),
    (BaseModel, lambda value: _named(value, [(name, getattr(value, name)) for name in type(value).model_fields])),
    (Mapping, _mapping),
)
