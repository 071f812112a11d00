"""The bytes at the start of a record, held to the published specifications by hand."""

from typing import Any

import pytest

from bus.codec import Codec
from bus.framing import confluent, frame_of, schema_id_of, single_object
from bus.record import Origin
from tests.bus.bank import LANGUAGE, DepositRequested

EMPTY = 0xC15D213AA4D7A795


def crc_64_avro(data: bytes) -> int:
    """As Avro's specification gives it, "Schema fingerprints": the polynomial is its own start value."""
    crc = EMPTY
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (EMPTY if crc & 1 else 0)
    return crc


@pytest.mark.parametrize(
    ("schema", "canonical"),
    [
        ({"type": "int"}, b'"int"'),
        (
            {
                "type": "record",
                "name": "A",
                "namespace": "n",
                "doc": "Words.",
                "fields": [{"name": "a", "type": "int"}],
            },
            b'{"name":"n.A","type":"record","fields":[{"name":"a","type":"int"}]}',
        ),
    ],
)
def test_single_objects_start_with_the_marker_and_the_fingerprint_low_byte_first(schema: Any, canonical: bytes) -> None:
    assert crc_64_avro(b'"int"') == 0x7275D51A3F395C8F, "as Avro's own tests have it"
    assert single_object(schema) == b"\xc3\x01" + crc_64_avro(canonical).to_bytes(8, "little")


def test_registry_frames_are_a_zero_and_the_id_high_byte_first() -> None:
    assert confluent(258) == b"\x00\x00\x00\x01\x02"
    assert schema_id_of(confluent(2**31 - 1) + b"body") == 2**31 - 1
    assert schema_id_of(b"\x00\x00\x00\x01") is None
    assert schema_id_of(b"\xc3\x01" + b"\x00" * 8) is None


def test_a_codec_writes_one_and_reads_both() -> None:
    plain, framed = Codec(LANGUAGE), Codec(LANGUAGE)
    framed.frame({name: 7 if name == "DepositRequested" else 8 + n for n, name in enumerate(framed.types)})
    ask = DepositRequested(workspace_id="w", amount=1)
    first, second = (
        codec.encode(ask, record_id="id", origin=Origin("ask"), time_ms=1, trace="a" * 32) for codec in (plain, framed)
    )
    assert frame_of(second.value) == confluent(7)
    assert first.value[10:] == second.value[5:]
    assert first.headers == second.headers
