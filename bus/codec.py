"""Records to bytes and back: Avro single-object encoding, CloudEvents attributes and one packed header of ours."""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form
from pydantic import ValidationError

from bus.avro import datum_maker, schema_of
from bus.channel import STATE_CHANNELS, Partition, Position
from bus.errors import Undecodable, UnknownRecordType
from bus.log import RECORD_BYTES_MAX, Raw, Stored
from bus.record import BUS_RECORDS, Envelope, Origin, Record, check_language

MARKER = b"\xc3\x01"
"""Starts every single-object encoding (Avro specification 1.12, "Single-object encoding")."""

PACKED = "clawx"
"""Header with the origin: kind|role|session|epoch|seq|part|parts|cause."""

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Peek(NamedTuple):
    """What the headers of a stored record say, without its body."""

    type: str
    id: str
    origin: Origin
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Type:
    kind: type[Record]
    prefix: bytes
    schema: Any
    to_datum: Any
    validate: Any


class Codec:
    """Encodes and decodes the record types of one language; read-only once made, so it may be shared."""

    def __init__(self, types: Iterable[type[Record]]) -> None:
        kinds = tuple(dict.fromkeys((*types, *BUS_RECORDS)))
        check_language(kinds)
        self._types = {kind.__name__: _compile(kind) for kind in kinds}

    @property
    def types(self) -> Mapping[str, type[Record]]:
        """Record types by name."""
        return {name: entry.kind for name, entry in self._types.items()}

    def encode(self, record: Record, *, record_id: str, origin: Origin, time_ms: int, trace: str, key: str = "") -> Raw:
        """The bytes of a record. `key` is the record's own unless given."""
        name = type(record).__name__
        entry = self._types.get(name)
        if entry is None or entry.kind is not type(record):
            raise UnknownRecordType(f"{name} is not in the language of this codec; add it to services/records")
        out = io.BytesIO()
        out.write(entry.prefix)
        fastavro.schemaless_writer(out, entry.schema, entry.to_datum(record))
        headers = (
            ("ce_type", name.encode()),
            ("ce_id", record_id.encode()),
            (PACKED, "|".join(map(str, origin)).encode()),
            ("traceparent", f"00-{trace}-{record_id[:16]:0<16}-01".encode()),
            ("ce_source", f"/clawx/{origin.role or origin.kind}".encode()),
            ("ce_specversion", b"1.0"),
        )
        return Raw((key or record.key()).encode(), out.getvalue(), headers, time_ms)

    def peek(self, stored: Stored) -> Peek:
        """Type, id, origin and trace of a stored record; raises Undecodable if its headers are none of ours."""
        headers = stored.headers
        try:
            if headers[0][0] == "ce_type" and headers[1][0] == "ce_id" and headers[2][0] == PACKED:
                type_, id_, packed = headers[0][1], headers[1][1], headers[2][1]  # as we write them
            else:
                found = dict(headers)
                type_, id_, packed = found["ce_type"], found["ce_id"], found[PACKED]
            return Peek(type_.decode(), id_.decode(), _unpack(packed), _trace(headers))
        except (KeyError, IndexError, ValueError) as error:
            raise Undecodable(f"its headers lack or garble ce_type, ce_id or {PACKED}: {error}") from error

    def decode(self, stored: Stored, peek: Peek, partition: Partition) -> Envelope:
        """The envelope of a stored record; raises Undecodable or UnknownRecordType.

        What no claim vouches for is hostile: it must be within the limits and equal its own re-encoding.
        """
        entry = self._types.get(peek.type)
        if entry is None:
            raise UnknownRecordType(f"record type {peek.type!r} is not known here; upgrade this process first")
        value = stored.value
        if len(value) > RECORD_BYTES_MAX:
            raise Undecodable(f"a {peek.type} of {len(value)} bytes is over the limit of {RECORD_BYTES_MAX}")
        if value[:10] != entry.prefix:
            raise Undecodable(f"a {peek.type} must start with {entry.prefix.hex()}, found {value[:10].hex()}")
        record = _read(entry, value, vouched=peek.origin.kind in ("fact", "claim"))
        at = Position(partition.channel, partition.number, stored.offset)
        return Envelope(record, peek.id, peek.origin, at, stored.time_ms, peek.trace, stored.key.decode())


def _compile(kind: type[Record]) -> _Type:
    schema = parse_schema(schema_of(kind, f"clawx.{kind.channel or 'bus'}"))
    crc = bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    return _Type(
        kind=kind,
        prefix=MARKER + crc,
        schema=schema,
        to_datum=datum_maker(kind),
        validate=kind.__pydantic_validator__.validate_python,
    )


def _read(entry: _Type, value: bytes, *, vouched: bool) -> Record:
    name = entry.kind.__name__
    source = io.BytesIO(value)
    source.seek(10)
    try:
        datum = fastavro.schemaless_reader(source, entry.schema, None)
        record: Record = entry.validate(datum)
    except (ValidationError, ArithmeticError, EOFError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise Undecodable(f"the body is no {name}: {type(error).__name__}: {str(error)[:200]}") from error
    if not vouched:
        again = io.BytesIO()
        fastavro.schemaless_writer(again, entry.schema, entry.to_datum(record))
        if again.getvalue() != value[10:]:
            raise Undecodable(f"the body of this {name} does not equal its own re-encoding")
    return record


def _unpack(packed: bytes) -> Origin:
    kind, role, session, epoch, seq, part, parts, cause = packed.decode().split("|", 7)
    if kind not in ("ask", "report", "fact", "claim", "post"):
        raise ValueError(f"unknown kind {kind!r}")
    return Origin(kind, role, session, int(epoch), int(seq), int(part), int(parts), cause)


def _trace(headers: Any) -> str:
    if len(headers) > 3 and headers[3][0] == "traceparent":
        return str(headers[3][1][3:35].decode())
    match = _TRACEPARENT.fullmatch(dict(headers).get("traceparent", b""))
    return match[1].decode() if match else ""


def schemas(types: Iterable[type[Record]]) -> dict[str, dict[str, Any]]:
    """Avro schemas by `channel/TypeName`; the bus's own records stand on every state channel."""
    files: dict[str, dict[str, Any]] = {}
    for kind in (*types, *BUS_RECORDS):
        schema = schema_of(kind, f"clawx.{kind.channel or 'bus'}")
        for channel in (kind.channel,) if kind.channel else STATE_CHANNELS:
            files[f"{channel}/{kind.__name__}"] = schema
    return dict(sorted(files.items()))
