"""Random schemas of the shapes that records here may have, and random changes to them."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

PRIMITIVES = ("string", "long", "double", "boolean")
DEFAULTS = {"string": "", "long": 0, "double": 0.5, "boolean": False, "bytes": ""}
NAMES = ("a", "b", "c", "d")

Schema = dict[str, Any]


@st.composite
def schemas(draw: st.DrawFn, primitives: tuple[str, ...] = PRIMITIVES) -> Schema:
    """A record type with groups of fields inside, each defined where it first stands."""
    return _Growth(draw, primitives).record("Noted", "clawx.task", 2)


class _Growth:
    def __init__(self, draw: st.DrawFn, primitives: tuple[str, ...]) -> None:
        self.draw, self.primitives = draw, primitives
        self.groups: list[str] = []  # those that are defined and may be referred to
        self.count = 0

    def record(self, name: str, namespace: str, depth: int) -> Schema:
        names = self.draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=3))
        fields = [self.field(field, depth) for field in names]
        return {"type": "record", "name": name, "namespace": namespace, "fields": fields}

    def field(self, name: str, depth: int) -> Schema:
        kind = self.type(depth)
        field = {"name": name, "type": kind}
        if self.draw(st.booleans()) and has_default(kind):
            field["default"] = default_of(kind)
        return field

    def type(self, depth: int) -> Any:
        shapes = ["primitive", "optional", "array", "map", "group"] if depth else ["primitive"]
        match self.draw(st.sampled_from(shapes)):
            case "optional":
                inner = self.type(depth - 1)
                return inner if isinstance(inner, list) else ["null", inner]
            case "array":
                return {"type": "array", "items": self.type(depth - 1)}
            case "map":
                return {"type": "map", "values": self.type(depth - 1)}
            case "group":
                return self.group(depth)
        return self.draw(st.sampled_from(self.primitives))

    def group(self, depth: int) -> Any:
        if self.groups and self.draw(st.booleans()):
            return f"clawx.task.Noted.{self.draw(st.sampled_from(self.groups))}"
        name, self.count = f"Group{self.count}", self.count + 1
        schema = self.record(name, "clawx.task.Noted", depth - 1)
        self.groups.append(name)
        return schema


def has_default(kind: Any) -> bool:
    """Whether a field of this type may have a default here: all but groups."""
    if isinstance(kind, dict):
        return bool(kind["type"] != "record")
    return isinstance(kind, list) or "." not in kind


def default_of(kind: Any) -> Any:
    if isinstance(kind, list):
        return None
    return DEFAULTS[kind] if isinstance(kind, str) else [] if kind["type"] == "array" else {}


@st.composite
def changes(draw: st.DrawFn, schema: Schema, primitives: tuple[str, ...] = PRIMITIVES) -> Schema:
    """A schema with a few changes anywhere in it."""
    changed = copy.deepcopy(schema)
    for _ in range(draw(st.integers(0, 3))):
        record = draw(st.sampled_from(list(_records(changed))))
        is_named_elsewhere = str(changed).count(f"{record['name']}'") > 1
        if not is_named_elsewhere and draw(st.integers(0, 9)) == 0:
            record["name"] += "Anew"
        else:
            _change(draw, record, primitives)
    return changed


def _records(schema: Any) -> Iterator[Schema]:
    if isinstance(schema, list):
        for branch in schema:
            yield from _records(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            yield schema
            for field in schema["fields"]:
                yield from _records(field["type"])
        else:
            yield from _records(schema.get("items", schema.get("values")))


def _change(draw: st.DrawFn, record: Schema, primitives: tuple[str, ...]) -> None:
    """Only in fields without groups, so that every name stays defined before it is used."""
    fields = record["fields"]
    plain = [field for field in fields if "Group" not in str(field["type"])]
    free = [name for name in NAMES if name not in {field["name"] for field in fields}]
    kind = draw(st.sampled_from(["add", "remove", "retype", "wrap", "default", "reverse", "rename"]))
    if kind == "add" and free:
        added = {"name": free[0], "type": draw(st.sampled_from(primitives))}
        fields.append(added | ({"default": default_of(added["type"])} if draw(st.booleans()) else {}))
    elif kind == "reverse":
        record["fields"] = [*reversed(plain), *[field for field in fields if field not in plain]]
    elif plain:
        _change_field(draw, record, draw(st.sampled_from(plain)), kind, primitives)


def _change_field(draw: st.DrawFn, record: Schema, field: Schema, kind: str, primitives: tuple[str, ...]) -> None:
    if kind == "remove" and len(record["fields"]) > 1:
        record["fields"].remove(field)
    elif kind == "retype":
        _retype(field, draw(st.sampled_from(primitives)))
    elif kind == "wrap":
        inner = field["type"]
        wraps = [["null", inner], {"type": "array", "items": inner}, {"type": "map", "values": inner}]
        _retype(field, draw(st.sampled_from(wraps[1:] if isinstance(inner, list) else wraps)))
    elif kind == "default" and "default" in field:
        del field["default"]
    elif kind == "default" and has_default(field["type"]):
        field["default"] = default_of(field["type"])
    elif kind == "rename":
        others = {each["name"] for each in record["fields"]}
        field["name"] = draw(st.sampled_from([name for name in (*NAMES, "e") if name not in others]))


def _retype(field: Schema, kind: Any) -> None:
    field["type"] = kind
    if "default" in field:
        field["default"] = default_of(kind)
