"""Records packed into one blob: how the SQLite log stores what it commits together for a partition."""

import struct
from collections.abc import Iterable

from bus.log import Raw, Stored

# Length of what follows, time, lengths of key and value, number of headers.
_RECORD = struct.Struct("<IqIIH")
# Lengths of name and value.
_HEADER = struct.Struct("<II")
_LENGTH_BYTES = 4


def pack(records: Iterable[Raw]) -> bytes:
    """The records one after the other; packed blobs may be joined to one."""
    parts: list[bytes] = []
    for key, value, headers, time_ms in records:
        at = len(parts)
        parts.append(b"")
        parts.append(key)
        parts.append(value)
        length = _RECORD.size - _LENGTH_BYTES + len(key) + len(value)
        for name, content in headers:
            encoded = name.encode()
            parts.append(_HEADER.pack(len(encoded), len(content)))
            parts.append(encoded)
            parts.append(content)
            length += _HEADER.size + len(encoded) + len(content)
        parts[at] = _RECORD.pack(length, time_ms, len(key), len(value), len(headers))
    return b"".join(parts)


def unpack(blob: bytes, first: int, position: int, records_max: int) -> list[Stored]:
    """The records from `position` on, at most `records_max`, of a blob whose first record stands at `first`."""
    at = 0
    for _ in range(position - first):
        at += _LENGTH_BYTES + int.from_bytes(blob[at : at + _LENGTH_BYTES], "little")
    stored: list[Stored] = []
    end = len(blob)
    while at < end and len(stored) < records_max:
        _, time_ms, key_length, value_length, header_count = _RECORD.unpack_from(blob, at)
        at += _RECORD.size
        key = blob[at : at + key_length]
        at += key_length
        value = blob[at : at + value_length]
        at += value_length
        headers = []
        for _ in range(header_count):
            name_length, content_length = _HEADER.unpack_from(blob, at)
            at += _HEADER.size
            name = blob[at : at + name_length].decode()
            at += name_length
            headers.append((name, blob[at : at + content_length]))
            at += content_length
        stored.append(Stored(position + len(stored), key, value, tuple(headers), time_ms))
    return stored
