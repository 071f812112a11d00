"""Bytes that outsiders may have written: valid records of every type that anybody may publish, and what becomes of
them."""

import io
import random
from collections.abc import Iterable, Iterator
from typing import Any

import fastavro
from fastavro.utils import generate_one

from bus.avro import schema_of
from bus.channel import Partition
from bus.codec import Codec
from bus.log import RECORD_BYTES_MAX, Raw, Stored
from bus.record import Ask, Origin, PostAcknowledged, Record, Report
from services.records import LANGUAGE

OPEN_TYPES = tuple(kind for kind in (*LANGUAGE, PostAcknowledged) if issubclass(kind, Ask | Report))
"""What anybody may publish."""

EXTENSIONS = (b"\x00", b"\x01", b"\xff" * 10, b"\xc3\x01" * 20)
HEADERS_BYTES = 1024


def single_object_codec(*more: type[Record]) -> Codec:
    """Writes Avro's own encoding."""
    return Codec((*LANGUAGE, *more))


def confluent_codec(*more: type[Record]) -> Codec:
    """Writes with ids as if a registry had given them."""
    codec = Codec((*LANGUAGE, *more))
    codec.frame({name: number for number, name in enumerate(sorted(codec.types), start=1)})
    return codec


def sample(kind: type[Record]) -> Record:
    """A record with something in every field, the same every time."""
    random.seed(kind.__name__)
    return kind.model_validate(generate_one(parsed(kind)))


def parsed(kind: type[Record]) -> Any:
    """The schema of a type, as fastavro wants it."""
    return fastavro.parse_schema(schema_of(kind, f"clawx.{kind.channel or 'bus'}"))


def encoded(codec: Codec, record: Record) -> Raw:
    """As its publisher would append it."""
    kind = "ask" if isinstance(record, Ask) else "report"
    return codec.encode(record, record_id="ab" * 12, origin=Origin(kind), time_ms=1, trace="a" * 32, key="key")


def read(codec: Codec, raw: Raw) -> Record:
    """As every reader does it: the headers, then the body."""
    stored = Stored(0, raw.key, raw.value, raw.headers, raw.time_ms)
    record: Record = codec.decode(stored, codec.peek(stored), Partition("task", 0)).record
    return record


def mutations(value: bytes, places: Iterable[int] | None = None) -> Iterator[bytes]:
    """Every flip of a bit, every truncation, every byte left out or set to its extremes, and a few extensions; of some
    places only where they are given, since all of a big value take as much memory as its square."""
    for place in range(len(value)) if places is None else places:
        before, after = value[:place], value[place + 1 :]
        yield before
        yield before + after
        for bit in range(8):
            yield before + bytes([value[place] ^ 1 << bit]) + after
        for extreme in (b"\x00", b"\x7f", b"\xff", b"\xff" * 10):
            yield before + extreme + after
    yield from (value + extension for extension in EXTENSIONS)


def bloated(kind: type[Record], codec: Codec) -> Iterator[tuple[str, Raw]]:
    """For each collection of a type, a valid record with as many of its smallest items as the limit allows."""
    head, schema = encoded(codec, sample(kind)), parsed(kind)
    frame = head.value[: len(head.value) - len(_written(schema, sample(kind).model_dump()))]
    least = _least(schema)
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and field["type"]["type"] in ("array", "map"):
            body = _written(schema, least | {field["name"]: _many(field["type"])})
            yield f"{kind.__name__}.{field['name']}", head._replace(value=frame + body)


def _many(collection: Any) -> Any:
    room = RECORD_BYTES_MAX - HEADERS_BYTES
    if collection["type"] == "map":
        each = len(_written(collection, {"00000": _least(collection["values"])}))
        return {f"{number:05}": _least(collection["values"]) for number in range(room // each)}
    each = len(_written(collection["items"], _least(collection["items"])))
    return [_least(collection["items"]) for _ in range(room // each)]


def _least(schema: Any) -> Any:
    """The value that takes the fewest bytes."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, list):
        return None
    if kind == "record":
        return {field["name"]: _least(field["type"]) for field in schema["fields"]}
    return {"string": "", "bytes": b"", "long": 0, "double": 0.0, "boolean": False, "array": [], "map": {}}[kind]


def _written(schema: Any, datum: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, datum)
    return out.getvalue()
