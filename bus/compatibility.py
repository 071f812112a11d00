"""Whether records written with one schema can be read with another, for the shapes that records here may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

SHAPE_NODES_MAX = 5_000
"""Most types in a schema, each counted wherever it is named; a small schema can name a vast one."""

SHAPE_DEPTH_MAX = 32
"""Most types inside one another."""

_PRIMITIVES = frozenset({"string", "long", "double", "boolean", "bytes"})
_PROMOTED = {("double", "long"), ("bytes", "string")}
"""Reader and writer. Avro also reads bytes as a string, which fails for bytes that are no UTF-8: that is none here."""


class Shape(NamedTuple):
    """A type with every name in it replaced by what it names."""

    kind: str  # a primitive, "record", "array", "map" or "optional" (a union of null and one more)
    name: str = ""  # of a record, without its namespace: Avro matches by that
    fields: Mapping[str, Field] = {}
    inner: Shape | None = None  # items of an array, values of a map, what an optional may be


class Field(NamedTuple):
    """A field of a record."""

    shape: Shape
    has_default: bool


def shape_of(schema: Any) -> Shape:
    """The shape of a parsed-JSON schema; raises ValueError for one that no record here can have.

    What is refused could not be decoded safely either: recursive types, collections of nothing, unions of many.
    """
    shape = _Expansion().expand(schema)
    if shape.kind != "record":
        raise ValueError(f"a record type is wanted, found {shape.kind}")
    return shape


class _Expansion:
    """One schema being expanded: the types that it named so far, and how many nodes there are."""

    def __init__(self) -> None:
        self._named: dict[str, Shape | None] = {}  # None while the type itself is being expanded
        self._sizes: dict[str, int] = {}
        self._nodes = self._depth = 0

    def expand(self, schema: Any, namespace: str = "") -> Shape:
        self._count(1)
        self._depth += 1
        if self._depth > SHAPE_DEPTH_MAX:
            raise ValueError(f"the schema has more than {SHAPE_DEPTH_MAX} types inside one another")
        shape = self._expand(schema, namespace)
        self._depth -= 1
        return shape

    def _expand(self, schema: Any, namespace: str) -> Shape:
        if isinstance(schema, str):
            return Shape(schema) if schema in _PRIMITIVES else self._look_up(schema, namespace)
        if isinstance(schema, list):
            return self._union(schema, namespace)
        kind = schema.get("type") if isinstance(schema, dict) else None
        if kind == "record":
            return self._record(schema, namespace)
        if kind in ("array", "map"):
            return Shape(kind, inner=self._item(schema.get("items" if kind == "array" else "values"), namespace))
        if kind in _PRIMITIVES and "logicalType" not in schema:
            return Shape(str(kind))
        raise ValueError(f"no record here has the type {str(schema)[:100]}")

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > SHAPE_NODES_MAX:
            raise ValueError(f"the schema stands for more than {SHAPE_NODES_MAX} types")

    def _look_up(self, name: str, namespace: str) -> Shape:
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self._named:
            raise ValueError(f"no record here has the type {name[:100]!r}")
        shape = self._named[full]
        if shape is None:
            raise ValueError(f"{full} contains itself")
        self._count(self._sizes[full])
        return shape

    def _union(self, branches: list[Any], namespace: str) -> Shape:
        if len(branches) != 2 or branches[0] != "null":
            raise ValueError(f"a union here is null and one more type, found {str(branches)[:100]}")
        inner = self.expand(branches[1], namespace)
        if inner.kind == "optional":
            raise ValueError("a union stands in a union")
        return Shape("optional", inner=inner)

    def _record(self, schema: Mapping[str, Any], outer: str) -> Shape:
        name, fields = schema.get("name"), schema.get("fields")
        if not isinstance(name, str) or not isinstance(fields, list) or "aliases" in schema:
            raise ValueError(f"a record has a name, no other names, and fields, found {str(schema)[:100]}")
        namespace, _, name = name.rpartition(".") if "." in name else (schema.get("namespace", outer), "", name)
        full = f"{namespace}.{name}" if namespace else name
        if full in self._named:
            raise ValueError(f"{full} is defined twice")
        before, self._named[full] = self._nodes, None
        shape = Shape("record", name, dict(self._field(field, str(namespace)) for field in fields))
        if len(shape.fields) != len(fields):
            raise ValueError(f"{full} has two fields of one name")
        self._named[full], self._sizes[full] = shape, self._nodes - before
        return shape

    def _field(self, field: Any, namespace: str) -> tuple[str, Field]:
        if not isinstance(field, dict) or not isinstance(field.get("name"), str) or "aliases" in field:
            raise ValueError(f"a field has a name and no other names, found {str(field)[:100]}")
        return field["name"], Field(self.expand(field.get("type"), namespace), "default" in field)

    def _item(self, schema: Any, namespace: str) -> Shape:
        shape = self.expand(schema, namespace)
        if _takes_no_bytes(shape):
            raise ValueError("a collection of empty records takes no bytes for any count of items")
        return shape


def _takes_no_bytes(shape: Shape) -> bool:
    return shape.kind == "record" and all(_takes_no_bytes(field.shape) for field in shape.fields.values())


def unreadable(reader: Shape, writer: Shape, where: str = "") -> Iterator[str]:
    """Why not all that is written with `writer` can be read with `reader`: a sentence each; none if all can."""
    if reader.kind == "record" == writer.kind:
        yield from _unreadable_record(reader, writer, where or reader.name)
    elif reader.kind == writer.kind and reader.inner and writer.inner:
        yield from unreadable(reader.inner, writer.inner, f"{where}[]" if reader.kind != "optional" else where)
    elif reader.kind == "optional" and reader.inner:
        yield from unreadable(reader.inner, writer, where)
    elif reader.kind != writer.kind and (reader.kind, writer.kind) not in _PROMOTED:
        yield f"{where} was {_article(writer)} and is {_article(reader)}"


def _unreadable_record(reader: Shape, writer: Shape, where: str) -> Iterator[str]:
    if reader.name != writer.name:
        yield f"{where} was called {writer.name} and is called {reader.name}"
        return
    for name, field in reader.fields.items():
        if name in writer.fields:
            yield from unreadable(field.shape, writer.fields[name].shape, f"{where}.{name}")
        elif not field.has_default:
            yield f"{where}.{name} has no default, and there are records without it"


def _article(shape: Shape) -> str:
    return {
        "optional": f"optional ({shape.inner.kind if shape.inner else ''})",
        "array": "an array",
    }.get(shape.kind, f"a {shape.kind}")


def disagreements(new: Any, old: Any) -> list[str]:
    """Why two schemas do not read each other's records, in sentences; empty if they do. Raises as `shape_of`."""
    ours, theirs = shape_of(new), shape_of(old)
    forward = [f"new code cannot read old records: {reason}" for reason in unreadable(ours, theirs)]
    return forward + [f"old code cannot read new records: {reason}" for reason in unreadable(theirs, ours)]


def full_transitive(new: Any, older: Iterable[tuple[str, Any]]) -> list[str]:
    """Why a schema is not FULL_TRANSITIVE with these earlier ones, each given with its version; empty if it is."""
    return [f"{version}: {reason}" for version, old in older for reason in disagreements(new, old)]
