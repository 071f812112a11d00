"""Avro schemas of record types, derived from their annotations; only shapes that are safe to decode from hostile
bytes exist."""

import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from bus.record import Record, Value

_PRIMITIVES: dict[Any, str] = {str: "string", int: "long", float: "double", bool: "boolean", bytes: "bytes"}

Schema = Any
"""A parsed-JSON Avro schema: a name, a list (union) or an object."""


def schema_of(kind: type[Record], namespace: str) -> dict[str, Any]:
    """The Avro record schema of a type. Raises TypeError for a field that no schema here can carry safely.

    Groups of fields are named in a namespace of the record's own, defined where they first stand and referred to
    after that.
    """
    return _Derivation(f"{namespace}.{kind.__name__}").record(kind, namespace)


class _Derivation:
    """One schema in the making: which groups are being described, and which have been."""

    def __init__(self, inner_namespace: str) -> None:
        self.inner_namespace = inner_namespace
        self.inside: list[type[Value]] = []
        self.named: set[type[Value]] = set()

    def record(self, kind: type[Value], namespace: str) -> dict[str, Any]:
        if kind in self.inside:
            raise TypeError(f"{kind.__name__} contains itself; recursive types can be made to crash a decoder")
        schema: dict[str, Any] = {"type": "record", "name": kind.__name__, "namespace": namespace}
        if kind.__doc__ and kind.__doc__ not in {base.__doc__ for base in kind.__mro__[1:]}:
            schema["doc"] = " ".join(kind.__doc__.split())
        self.inside.append(kind)
        schema["fields"] = [self._field(kind, name, info) for name, info in kind.model_fields.items()]
        self.inside.pop()
        return schema

    def _field(self, kind: type[Value], name: str, info: FieldInfo) -> dict[str, Any]:
        where = f"{kind.__name__}.{name}"
        try:
            field: dict[str, Any] = {"name": name, "type": self._of(info.annotation)}
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from error
        if not info.is_required():
            field["default"] = _default(info.get_default(call_default_factory=True), where)
            if isinstance(field["type"], list) and field["default"] is not None:
                raise TypeError(f"{where}: what may be None may only default to None, the first branch of its union")
        return field

    def _of(self, annotation: Any) -> Schema:
        if annotation in _PRIMITIVES:
            return _PRIMITIVES[annotation]
        if isinstance(annotation, type) and issubclass(annotation, Value):
            return self._group(annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": self._item(arguments[0])}
        if origin is Mapping:
            return {"type": "map", "values": self._item(arguments[1])}
        if origin in (typing.Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
            inner = arguments[0] if arguments[1] is type(None) else arguments[1]
            return ["null", self._of(inner)]
        raise TypeError(
            f"{annotation} has no Avro shape here; use str, int, float, bool, bytes, a Value, tuple[X, ...]"
        )

    def _group(self, kind: type[Value]) -> Schema:
        if kind in self.named:
            return f"{self.inner_namespace}.{kind.__name__}"
        schema = self.record(kind, self.inner_namespace)
        self.named.add(kind)
        return schema

    def _item(self, annotation: Any) -> Schema:
        schema = self._of(annotation)
        if _takes_no_bytes(annotation):
            raise TypeError("a collection of empty groups takes no bytes for any count of items")
        return schema


def _takes_no_bytes(annotation: Any) -> bool:
    """Whether a value of this type is a group of nothing but empty groups, or of nothing at all."""
    if not (isinstance(annotation, type) and issubclass(annotation, Value)):
        return False
    return all(_takes_no_bytes(info.annotation) for info in annotation.model_fields.values())


def _default(value: Any, where: str) -> Any:
    if isinstance(value, tuple | Mapping) and value:
        raise TypeError(f"{where}: a collection may only default to an empty one")
    if isinstance(value, Value):
        raise TypeError(f"{where}: a group of fields may not be a default")
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
