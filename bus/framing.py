"""How the bytes of a record say with which schema they were written: Avro's single-object encoding, or the framing that
schema registries share."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastavro.schema import (
    SchemaParseException,
    UnknownType,
    fingerprint,
    fullname,
    parse_schema,
    to_parsing_canonical_form,
)

from bus.avro import Schema
from bus.compatibility import shape_of, unreadable

MARKER = b"\xc3\x01"
"""Starts every single-object encoding (Avro specification 1.12); the schema's fingerprint follows in eight bytes."""

MAGIC = b"\x00"
"""Starts every record that is framed as schema registries have it; the schema's id follows in four bytes."""


def single_object(schema: Schema) -> bytes:
    """What a single-object encoding with this schema starts with."""
    return MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def confluent(schema_id: int) -> bytes:
    """What a record framed with this id of a registry starts with."""
    return MAGIC + schema_id.to_bytes(4, "big")


def schema_id_of(value: bytes) -> int | None:
    """The id that a record is framed with; None if it is not framed so."""
    return int.from_bytes(value[1:5], "big") if value[:1] == MAGIC and len(value) >= 5 else None


def frame_of(value: bytes) -> bytes:
    """The bytes at the start of a record that say how it was written."""
    return value[:5] if value[:1] == MAGIC else value[:10]


class Written(NamedTuple):
    """How the records that start with some bytes were written."""

    name: str  # of the record type; empty if they cannot be read here
    schema: Any = None  # to read them with; None where today's does
    reason: str = ""  # why they cannot be read


def judge(schema: Schema, today: dict[str, Any]) -> Written:
    """Whether records written with a schema can be read with today's, which are given parsed and by name of their
    type."""
    try:
        shape = shape_of(schema)
        ours = today.get(shape.name)
        if ours is None or fullname(ours) != fullname(schema):
            return Written("", reason=f"it was written as {fullname(schema)}, which is no record type here")
        if reasons := list(unreadable(shape_of(ours), shape)):
            return Written("", reason=f"it was written with another schema: {'; '.join(reasons)}")
        parsed = parse_schema(schema)
    except (SchemaParseException, UnknownType, LookupError, TypeError, ValueError) as error:
        return Written("", reason=f"its schema is none that records here may have: {error}")
    same = to_parsing_canonical_form(parsed) == to_parsing_canonical_form(ours)
    return Written(shape.name, None if same else parsed)
