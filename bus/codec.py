"""Records to bytes and back: Avro in one of two framings, CloudEvents attributes and one packed header of ours."""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, cast

import fastavro
from fastavro.schema import parse_schema

from bus.avro import Schema, schema_of
from bus.body_reader import reader_of
from bus.body_writer import writer_of
from bus.channel import STATE_CHANNELS, Partition, Position
from bus.errors import Undecodable, UnknownRecordType
from bus.framing import Written, confluent, frame_of, judge, schema_id_of, single_object
from bus.log import RECORD_BYTES_MAX, Raw, Stored
from bus.record import (
    BUS_RECORDS,
    Ask,
    Claimed,
    Envelope,
    Fact,
    Origin,
    Posted,
    Record,
    Report,
    check_language,
    derive_id,
    derive_trace,
)

PACKED = "clawx"
"""Header with the origin: kind|role|session|epoch|seq|part|parts|cause."""

ID_CHARS_MAX = 200
"""Longest id of a record."""

KEY_BYTES_MAX = 1024
"""Longest key, and so the longest name of a workspace or a pool."""

PEEKS_MAX = 1000
"""Peeks that are remembered at once where they are shared."""

TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999; a record that says a later time, or one before 1970, is none of ours."""

_TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SPECVERSION = ("ce_specversion", b"1.0")
_SPAN = re.compile("(?!0{16})[0-9a-f]{16}")
_make: Any = tuple.__new__
"""A named tuple from all its values in order. Its own constructor takes twice as long, on the path of every record."""

_UNREADABLE = (ArithmeticError, EOFError, LookupError, MemoryError, TypeError, ValueError)


class Peek(NamedTuple):
    """What the headers of a stored record say, without its body."""

    type: str
    id: str
    origin: Origin
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Type:
    kind: type[Record]
    stands_as: frozenset[str]  # kinds of origin under which it may be heard
    header: tuple[str, bytes]
    prefix: bytes
    schema: Any
    write: Any  # from a record to its body
    read: Any  # from bytes and a place in them to a record, or None where it takes a closer look; may be missing
    validate: Any


class Codec:
    """Encodes and decodes the record types of one language.

    It reads both framings and writes Avro's own until it is given the ids of a registry. What it learns is only how
    more records were written, so it may be shared.
    """

    def __init__(self, types: Iterable[type[Record]], *, older: Iterable[Schema] = ()) -> None:
        """`older` are schemas with which records of these types were written before."""
        kinds = tuple(dict.fromkeys((*types, *BUS_RECORDS)))
        check_language(kinds)
        self._types = {kind.__name__: _compile(kind) for kind in kinds}
        self._written = {entry.prefix: Written(name) for name, entry in self._types.items()}
        self._peeked: dict[int, tuple[Stored, Peek]] | None = None
        for schema in older:
            self.learn(single_object(schema), schema)

    @property
    def types(self) -> Mapping[str, type[Record]]:
        """Record types by name."""
        return {name: entry.kind for name, entry in self._types.items()}

    def frame(self, ids: Mapping[str, int]) -> None:
        """Write in the framing of schema registries from here on; the ids by name of the record type."""
        self._types = {name: replace(entry, prefix=confluent(ids[name])) for name, entry in self._types.items()}
        self._written |= {entry.prefix: Written(name) for name, entry in self._types.items()}

    def knows(self, prefix: bytes) -> bool:
        """Whether `learn` was told of these bytes, or records are written with them."""
        return prefix in self._written

    def learn(self, prefix: bytes, schema: Schema) -> None:
        """Read what starts with these bytes as written with this schema; one that none of ours can read is known as
        such."""
        self._written[prefix] = judge(schema, {name: entry.schema for name, entry in self._types.items()})

    def encode(self, record: Record, *, record_id: str, origin: Origin, time_ms: int, trace: str, key: str = "") -> Raw:
        """The bytes of a record. `key` is the record's own unless given."""
        name = type(record).__name__
        entry = self._types.get(name)
        if entry is None or entry.kind is not type(record):
            raise UnknownRecordType(f"{name} is not in the language of this codec; add it to services/records")
        kind, role, session, epoch, seq, part, parts, cause = origin
        headers = (
            entry.header,
            ("ce_id", record_id.encode()),
            (PACKED, f"{kind}|{role}|{session}|{epoch}|{seq}|{part}|{parts}|{cause}".encode()),
            ("traceparent", f"00-{trace}-{record_id[:16] if role else _span(record_id)}-01".encode()),
            _source(role or kind),
            _SPECVERSION,
        )
        return Raw((key or record.key()).encode(), entry.prefix + entry.write(record), headers, time_ms)

    def share_peeks(self) -> None:
        """Remember the newest peeks by the identity of what was peeked at: of use where several readers of one process
        are handed the same objects, as the embedded log does."""
        self._peeked = {}

    def peek(self, stored: Stored) -> Peek:
        """Type, id, origin and trace of a stored record; raises Undecodable if its headers are none of ours."""
        if self._peeked is None:
            return _peek(stored)
        found = self._peeked.get(id(stored))
        if found is not None and found[0] is stored:
            return found[1]
        if len(self._peeked) >= PEEKS_MAX:
            self._peeked.clear()
        peek = _peek(stored)
        self._peeked[id(stored)] = stored, peek
        return peek

    def decode(self, stored: Stored, peek: Peek, partition: Partition) -> Envelope:
        """The envelope of a stored record; raises Undecodable or UnknownRecordType.

        What no claim vouches for is hostile: it must be within the limits and equal its own re-encoding.
        """
        entry = self._types.get(peek.type)
        if entry is None:
            raise UnknownRecordType(f"record type {peek.type!r} is not known here; upgrade this process first")
        kind, value = peek.origin.kind, stored.value
        vouched = kind == "fact" or kind == "claim"
        if len(value) > RECORD_BYTES_MAX:
            raise Undecodable(f"a {peek.type} of {len(value)} bytes is over the limit of {RECORD_BYTES_MAX}")
        if kind not in entry.stands_as:
            raise Undecodable(f"a {peek.type} never stands as {kind}")
        if value.startswith(entry.prefix):
            record = _read(entry, value, len(entry.prefix), vouched)
        else:
            record = self._read_other(entry, value, vouched)
        at = _make(Position, (partition.channel, partition.number, stored.offset))
        key = stored.key.decode() if vouched else _checked_key(stored, peek)
        found: Envelope = _make(Envelope, (record, peek.id, peek.origin, at, stored.time_ms, peek.trace, key))
        return found

    def _read_other(self, entry: _Type, value: bytes, vouched: bool) -> Record:
        """What was written in the other framing, or with another schema."""
        name, prefix = entry.kind.__name__, frame_of(value)
        written = self._written.get(prefix)
        if written is None:
            raise Undecodable(f"a {name} must start with {entry.prefix.hex()}, found {_say_frame(prefix)}")
        if written.name != name:
            raise Undecodable(f"this is no {name}: {written.reason or f'it was written as {written.name}'}")
        if written.schema is None:
            return _read(entry, value, len(prefix), vouched)
        return _read_evolved(entry, written.schema, value, len(prefix), vouched)


def packed_of(stored: Stored) -> bytes:
    """The packed header as it stands in a record, be it sound or not; empty without one."""
    headers = stored.headers
    if len(headers) > 2 and headers[2][0] == PACKED:
        return headers[2][1] or b""  # where we write it; a hostile one may be none at all
    return dict(headers).get(PACKED) or b""


def _peek(stored: Stored) -> Peek:
    headers = stored.headers
    try:
        if headers[0][0] == "ce_type" and headers[1][0] == "ce_id" and headers[2][0] == PACKED:
            type_, id_, packed = headers[0][1], headers[1][1], headers[2][1]  # as we write them
        else:
            found: dict[str, Any] = dict(headers)
            type_, id_, packed = found["ce_type"], found["ce_id"], found[PACKED]
        origin = _unpack(packed)
        peek: Peek = _make(Peek, (type_.decode(), id_.decode(), origin, _trace(headers, id_, origin.kind)))
        return peek
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Undecodable(f"its headers lack or garble ce_type, ce_id or {PACKED}: {error}") from error


def _compile(kind: type[Record]) -> _Type:
    schema = parse_schema(schema_of(kind, f"clawx.{kind.channel or 'bus'}"))
    return _Type(
        kind=kind,
        stands_as=_kinds_of(kind),
        header=("ce_type", kind.__name__.encode()),
        prefix=single_object(schema),
        schema=schema,
        write=writer_of(kind),
        read=reader_of(kind),
        validate=kind.__pydantic_validator__.validate_python,
    )


def _kinds_of(kind: type[Record]) -> frozenset[str]:
    """As what a record may be heard: whoever calls a fact an ask gets no further."""
    kinds: dict[str, type] = {"claim": Claimed, "ask": Ask, "report": Report, "fact": Fact, "post": Posted}
    return frozenset(name for name, root in kinds.items() if issubclass(kind, root))


def _say_frame(prefix: bytes) -> str:
    number = schema_id_of(prefix)
    return prefix.hex() if number is None else f"the schema id {number}, which no registry here has told of"


def _checked_key(stored: Stored, peek: Peek) -> str:
    """The key of a record that no claim vouches for, if all that surrounds its body is as it must be."""
    if len(stored.key) > KEY_BYTES_MAX or not 0 < len(peek.id) <= ID_CHARS_MAX:
        sizes = f"{len(stored.key)} bytes and an id of {len(peek.id)} characters"
        raise Undecodable(f"it has a key of {sizes}; the limits are {KEY_BYTES_MAX} and {ID_CHARS_MAX}")
    if not 0 <= stored.time_ms <= TIME_MS_MAX:
        raise Undecodable(f"its time, {stored.time_ms} ms, is none that a clock shows")
    try:
        return stored.key.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"its key is no UTF-8: {error}") from error


def _read(entry: _Type, value: bytes, start: int, vouched: bool) -> Record:
    if entry.read is not None and (quickly := entry.read(value, start)) is not None:
        return cast("Record", quickly)
    source = io.BytesIO(value)
    source.seek(start)
    try:
        datum = fastavro.schemaless_reader(source, entry.schema, None)
        record: Record = entry.validate(datum)
    except _UNREADABLE as error:  # pydantic's ValidationError is a ValueError
        raise _undecodable(entry, error) from error
    if source.tell() != len(value):
        raise Undecodable(f"{len(value) - source.tell()} bytes follow the body of this {entry.kind.__name__}")
    if not vouched and entry.write(record) != value[start:]:
        raise _unequal(entry)
    return record


def _read_evolved(entry: _Type, writer: Schema, value: bytes, start: int, vouched: bool) -> Record:
    source = io.BytesIO(value)
    source.seek(start)
    try:
        written = fastavro.schemaless_reader(source, writer, None)
        source.seek(start)
        datum = fastavro.schemaless_reader(source, writer, entry.schema)
        end = source.tell()
        record: Record = entry.validate(datum)
    except _UNREADABLE as error:
        raise _undecodable(entry, error) from error
    if end != len(value):
        raise Undecodable(f"{len(value) - end} bytes follow the body of this {entry.kind.__name__}")
    if not vouched:
        again = io.BytesIO()
        fastavro.schemaless_writer(again, writer, written)
        if again.getvalue() != value[start:]:
            raise _unequal(entry)
    return record


def _undecodable(entry: _Type, error: Exception) -> Undecodable:
    return Undecodable(f"the body is no {entry.kind.__name__}: {type(error).__name__}: {str(error)[:200]}")


def _unequal(entry: _Type) -> Undecodable:
    return Undecodable(f"the body of this {entry.kind.__name__} does not equal its own re-encoding")


def _unpack(packed: bytes) -> Origin:
    kind, role, session, epoch, seq, part, parts, cause = packed.decode().split("|", 7)
    if kind not in ("ask", "report", "fact", "claim", "post"):
        raise ValueError(f"unknown kind {kind!r}")
    if kind == "post":
        _check_position(Position.parse(cause))
    origin: Origin = _make(Origin, (kind, role, session, int(epoch), int(seq), int(part), int(parts), cause))
    return origin


def _check_position(at: Position) -> None:
    if at.channel not in STATE_CHANNELS or not 0 <= at.number < 2**31 or not 0 <= at.offset < 2**63:
        raise ValueError(f"no fact stands at {at}")


@lru_cache(maxsize=256)
def _source(name: str) -> tuple[str, bytes]:
    return "ce_source", f"/clawx/{name}".encode()


def _span(record_id: str) -> str:
    """The W3C span id of a record: what its id starts with, where that is one."""
    span = record_id[:16]
    return span if _SPAN.fullmatch(span) else derive_id(record_id)[:16]


def _trace(headers: Any, id_: bytes, kind: str) -> str:
    """The W3C trace id; what has none, or one that is none, starts a trace of its own."""
    if len(headers) > 3 and headers[3][0] == "traceparent":
        value = headers[3][1]
        if kind == "fact" or kind == "claim":
            return str(value[3:35].decode())
    else:
        value = dict(headers).get("traceparent")
    match = _TRACEPARENT.fullmatch(value or b"")
    return match[1].decode() if match else derive_trace(id_.decode())


def schemas(types: Iterable[type[Record]]) -> dict[str, dict[str, Any]]:
    """Avro schemas by `channel/TypeName`; the bus's own records stand on every state channel."""
    files: dict[str, dict[str, Any]] = {}
    for kind in (*types, *BUS_RECORDS):
        schema = schema_of(kind, f"clawx.{kind.channel or 'bus'}")
        for channel in (kind.channel,) if kind.channel else STATE_CHANNELS:
            files[f"{channel}/{kind.__name__}"] = schema
    return dict(sorted(files.items()))
