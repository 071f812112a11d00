"""The functions made for each record type write and read what fastavro does, and nothing that it would not."""

import io
import random
import struct
from typing import Any

import fastavro
import pytest
from pydantic import field_validator

from bus.body_reader import reader_of
from bus.body_writer import writer_of
from bus.record import Ask, Record
from tests.bus.hostile import mutations, parsed, sample
from tests.bus.random_records import TYPES, records

SEEDS = 20
DAMAGES_MAX = 200


def written(kind: type[Record], record: Record) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed(kind), record.model_dump())
    return out.getvalue()


def closely_read(kind: type[Record], body: bytes) -> Any:
    """What the bytes are by fastavro and pydantic, if they equal their own encoding; None if not."""
    try:
        datum = fastavro.schemaless_reader(io.BytesIO(body), parsed(kind), None)
        record = kind.model_validate(datum)
        return record if written(kind, record) == body else None
    except (ArithmeticError, EOFError, LookupError, MemoryError, TypeError, ValueError):
        return None


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_a_body_is_written_and_read_as_fastavro_does(kind: type[Record]) -> None:
    write, read = writer_of(kind), reader_of(kind)
    assert read is not None
    for record in records(kind, SEEDS):
        body = write(record)
        assert body == written(kind, record)
        again = read(b"xy" + body, 2)
        assert again == record
        assert again.model_copy(update={}) == record
        assert again.model_fields_set == set(kind.model_fields)
        assert again.model_dump() == record.model_dump()


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_what_is_read_of_damaged_bytes_is_what_a_closer_look_finds(kind: type[Record]) -> None:
    read, body = reader_of(kind), writer_of(kind)(sample(kind))
    assert read is not None
    chance = random.Random(kind.__name__)
    damages = list(mutations(body, chance.sample(range(len(body)), min(DAMAGES_MAX, len(body)))))
    for damaged in chance.sample(damages, min(DAMAGES_MAX, len(damages))):
        found = read(damaged, 0)
        if found is not None:
            closely = closely_read(kind, damaged)
            assert closely is not None, damaged.hex()
            assert repr(found) == repr(closely)  # NaN equals nothing, itself neither


class Number(Ask, channel="task"):
    number: int = 0
    share: float = 0.0
    is_so: bool = False
    words: tuple[str, ...] = ()


READ = reader_of(Number)
BODY = writer_of(Number)(Number(number=300, words=("a",)))


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("nothing", b""),
        ("cut off", BODY[:-1]),
        ("a byte more", BODY + b"\0"),
        ("a number longer than it need be", BODY.replace(b"\xd8\x04", b"\xd8\x84\x00")),
        ("a number over 64 bits", BODY.replace(b"\xd8\x04", b"\xff" * 9 + b"\x02")),
        ("a truth that is 2", BODY.replace(struct.pack("<d", 0) + b"\0", struct.pack("<d", 0) + b"\2")),
        ("two blocks", BODY[:-1] + b"\x02\x02a\x00"),
        ("a block with its size", BODY[:-4] + b"\x01\x04\x02a\x00"),
        ("a length below nothing", BODY[:-3] + b"\x01\x00"),
        ("text that is no UTF-8", BODY.replace(b"\x02a", b"\x02\xff")),
    ],
)
def test_what_is_no_shortest_encoding_is_left_to_a_closer_look(what: str, body: bytes) -> None:
    assert READ is not None
    assert READ(BODY, 0) == Number(number=300, words=("a",))
    assert body != BODY, what
    assert READ(body, 0) is None


def test_a_number_that_has_no_place_is_not_written() -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        writer_of(Number)(Number(number=2**63))


def test_a_type_with_a_validator_is_always_looked_at_closely() -> None:
    class Checked(Ask, channel="task"):
        number: int

        @field_validator("number")
        @classmethod
        def check(cls, number: int) -> int:
            return abs(number)

    assert reader_of(Checked) is None
