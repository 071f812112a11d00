"""Our Avro is everybody's Avro: the Apache library reads what we write, and we read what it writes."""

import io
import json
from collections.abc import Mapping
from typing import Any

import avro.io
import avro.schema
import pytest

from bus.avro import schema_of
from bus.body_writer import writer_of
from bus.channel import Partition
from bus.codec import Codec
from bus.log import Stored
from bus.record import Ask, Origin, Record, Value
from services.records import LANGUAGE
from tests.bus.random_records import TYPES, kind_of, records

CODEC = Codec(LANGUAGE)
SCHEMAS = {kind: avro.schema.parse(json.dumps(schema_of(kind, f"clawx.{kind.channel or 'bus'}"))) for kind in TYPES}


def written(schema: avro.schema.Schema, datum: Any) -> bytes:
    out = io.BytesIO()
    avro.io.DatumWriter(schema).write(datum, avro.io.BinaryEncoder(out))
    return out.getvalue()


def plain(value: Any) -> Any:
    """As the Apache library gives it."""
    if isinstance(value, Value):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_the_apache_library_and_we_read_each_other(kind: type[Record]) -> None:
    for record in records(kind, 8):
        origin = Origin(kind_of(record))
        raw = CODEC.encode(record, record_id="ab" * 12, origin=origin, time_ms=1, trace="a" * 32, key="k")
        theirs = avro.io.DatumReader(SCHEMAS[kind]).read(avro.io.BinaryDecoder(io.BytesIO(raw.value[10:])))
        assert theirs == plain(record)
        again = Stored(0, raw.key, raw.value[:10] + written(SCHEMAS[kind], theirs), raw.headers, raw.time_ms)
        assert CODEC.decode(again, CODEC.peek(again), Partition("task", 0)).record == record


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_a_record_starts_with_the_fingerprint_that_the_apache_library_computes(kind: type[Record]) -> None:
    record = next(records(kind, 1))
    raw = CODEC.encode(record, record_id="x", origin=Origin(kind_of(record)), time_ms=1, trace="a" * 32, key="k")
    assert raw.value[:10] == b"\xc3\x01" + SCHEMAS[kind].fingerprint("CRC-64-AVRO")


class Inner(Value):
    number: int = 0


class Nothing(Value):
    pass


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (list[str], "no Avro shape"),
        (tuple[str, int], "no Avro shape"),
        (str | int, "no Avro shape"),
        (set[str], "no Avro shape"),
        (complex, "no Avro shape"),
        (tuple[Nothing, ...], "empty groups"),
    ],
)
def test_a_field_that_cannot_be_carried_safely_is_refused(annotation: Any, reason: str) -> None:
    kind = type("Odd", (Ask,), {"__annotations__": {"field": annotation}}, channel="task")
    with pytest.raises(TypeError, match=reason):
        schema_of(kind, "clawx.task")


def test_a_group_within_itself_is_refused() -> None:
    kind = type("Nest", (Value,), {"__annotations__": {"number": int}})
    kind.model_fields["inner"] = type("Info", (), {"annotation": kind, "is_required": lambda self: True})()  # type: ignore[attr-defined]
    outer = type("Odd", (Ask,), {"__annotations__": {"field": kind}}, channel="task")
    with pytest.raises(TypeError, match="contains itself"):
        schema_of(outer, "clawx.task")


@pytest.mark.parametrize("default", [("x",), Inner(number=1)])
def test_a_default_that_readers_could_not_agree_on_is_refused(default: Any) -> None:
    annotation = tuple[str, ...] if isinstance(default, tuple) else Inner
    kind = type("Odd", (Ask,), {"__annotations__": {"field": annotation}, "field": default}, channel="task")
    with pytest.raises(TypeError, match=r"Odd\.field"):
        schema_of(kind, "clawx.task")


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_writing_a_record_leaves_it_as_it_was(kind: type[Record]) -> None:
    for record in records(kind, 3):
        before = record.model_copy(deep=True)
        writer_of(kind)(record)
        assert record == before
