"""Our own compatibility check against Avro's library as the oracle, and against what can really be read."""

import io
import json
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.codec import Codec
from bus.codec import schemas as language_schemas
from bus.compatibility import disagreements, full_transitive, shape_of, unreadable
from services.records import LANGUAGE
from tests.bus.evolution import PRIMITIVES, changes, schemas
from tests.bus.registry import can_read

BOTH = st.shared(schemas(), key="before").flatmap(lambda before: st.tuples(st.just(before), changes(before)))
WITH_BYTES = (*PRIMITIVES, "bytes")
BOTH_WITH_BYTES = st.shared(schemas(WITH_BYTES), key="bytes").flatmap(
    lambda before: st.tuples(st.just(before), changes(before, WITH_BYTES))
)
Pair = tuple[dict[str, Any], dict[str, Any]]


def readable(reader: Any, writer: Any) -> bool:
    return not list(unreadable(shape_of(reader), shape_of(writer)))


@settings(max_examples=400, deadline=None)
@given(BOTH)
def test_what_avro_says_of_a_change_we_say_too(pair: Pair) -> None:
    old, new = pair
    assert readable(new, old) == can_read(json.dumps(new), json.dumps(old))
    assert readable(old, new) == can_read(json.dumps(old), json.dumps(new))
    assert bool(disagreements(new, old)) == (not (readable(new, old) and readable(old, new)))


@settings(max_examples=200, deadline=None)
@given(BOTH_WITH_BYTES)
def test_what_we_call_readable_can_be_read(pair: Pair) -> None:
    for reader, writer in (pair, pair[::-1]):
        if readable(reader, writer):
            assert can_read(json.dumps(reader), json.dumps(writer))
            for datum in generate_many(fastavro.parse_schema(writer), 3):
                written = io.BytesIO()
                fastavro.schemaless_writer(written, fastavro.parse_schema(writer), datum)
                written.seek(0)
                fastavro.schemaless_reader(written, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


def record(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "Noted", "namespace": "clawx.task", "fields": list(fields)}


A = {"name": "a", "type": "long"}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (record(A, field("b", "long")), "new code cannot read old records: Noted.b has no default, and there are"),
        (record(field("b", "long", default=0)), "old code cannot read new records: Noted.a has no default"),
        (record(field("a", "double")), "old code cannot read new records: Noted.a was a double and is a long"),
        (record(field("a", ["null", "long"])), "Noted.a was optional (long) and is a long"),
        (record(field("a", {"type": "array", "items": "long"})), "Noted.a was a long and is an array"),
    ],
)
def test_a_change_that_is_not_full_is_told_with_its_place(new: dict[str, Any], reason: str) -> None:
    assert any(reason in each for each in disagreements(new, record(A))), disagreements(new, record(A))


def test_a_string_may_be_read_as_bytes_but_not_bytes_as_a_string() -> None:
    text, raw = record(field("a", "string")), record(field("a", "bytes"))
    assert readable(raw, text)
    assert not readable(text, raw)
    assert can_read(json.dumps(text), json.dumps(raw)), "Avro allows it, though the bytes may be no text"


def test_every_earlier_version_counts_and_not_the_last_alone() -> None:
    first = record(A, field("b", "string", default=""))
    second = record(A)
    third = record(A, field("b", "long", default=0))
    assert not full_transitive(second, [("1", first)])
    assert not full_transitive(third, [("2", second)])
    found = full_transitive(third, [("1", first), ("2", second)])
    assert [each.split(":")[0] for each in found] == ["1", "1"]


def nested(levels: int) -> Any:
    return "long" if not levels else {"type": "array", "items": nested(levels - 1)}


def doubling(levels: int) -> dict[str, Any]:
    """A small schema that stands for 2 to the power of `levels` types."""
    fields = [field("x0", {"type": "record", "name": "G0", "fields": []})]
    for n in range(1, levels):
        halves = [field("l", f"clawx.task.G{n - 1}"), field("r", f"clawx.task.G{n - 1}")]
        fields.append(field(f"x{n}", {"type": "record", "name": f"G{n}", "fields": halves}))
    return record(*fields)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (record(field("a", "clawx.task.Noted")), "contains itself"),
        (record(field("a", {"type": "array", "items": "null"})), "no record here has the type"),
        (record(field("a", {"type": "array", "items": {"type": "record", "name": "E", "fields": []}})), "no bytes"),
        (record(field("a", ["null", "long", "string"])), "a union here is null and one more"),
        (record(field("a", ["long", "null"])), "a union here is null and one more"),
        (record(field("a", {"type": "enum", "name": "E", "symbols": ["A"]})), "no record here has the type"),
        (record(field("a", {"type": "fixed", "name": "F", "size": 2**30})), "no record here has the type"),
        (record(field("a", {"type": "long", "logicalType": "timestamp-millis"})), "no record here has the type"),
        (record(field("a", nested(40))), "inside one another"),
        (doubling(30), "more than 5000 types"),
        (record(A, A), "two fields of one name"),
        ({"type": "map", "values": "long"}, "a record type is wanted"),
        (None, "no record here has the type"),
        ({"type": "record"}, "a record has a name"),
    ],
)
def test_a_schema_that_could_not_be_decoded_safely_is_no_shape(schema: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        shape_of(schema)


def test_every_record_type_has_a_shape_and_reads_itself() -> None:
    Codec(LANGUAGE)
    for name, schema in language_schemas(LANGUAGE).items():
        assert not disagreements(schema, schema), name
