"""The fact that an input was set aside. The record itself stays where it stands, for as long as the log is kept."""

from __future__ import annotations

from collections.abc import Iterable

from bus.blobs import digest_of
from bus.channel import Position
from bus.log import Headers, Stored
from bus.record import InputQuarantined

RAW_BYTES_MAX = 4096
"""How much of a record that nobody can decode stands in the fact too, so that it can be looked at from anywhere."""

REASON_CHARS_MAX = 2000

_HEADERS_BYTES_MAX = 2048


def undecided(at: Position, reason: str) -> InputQuarantined:
    """An input that a role cannot decide. Everybody can decode it, so the fact need only say where it stands."""
    return InputQuarantined(input=str(at), reason=_told(reason))


def undecodable(at: Position, stored: Stored, error: Exception | None) -> InputQuarantined:
    """An input that nobody can decode: the digest and size of all its bytes, and where they begin."""
    return InputQuarantined(
        input=str(at),
        reason=_told(f"undecodable: {error}"),
        digest=digest_of(stored.value),
        size=len(stored.value),
        raw=stored.value[:RAW_BYTES_MAX],
        headers=dict(_first(stored.headers)),
    )


def _told(reason: str) -> str:
    """It may quote what no encoding can carry."""
    return reason[:REASON_CHARS_MAX].encode(errors="replace").decode()


def _first(headers: Headers) -> Iterable[tuple[str, bytes]]:
    """The headers as far as there is room, without those that would not fit."""
    room = _HEADERS_BYTES_MAX
    for name, value in headers:
        room -= len(name) * 4 + len(value or b"") + 8
        if room < 0:
            return
        yield name.encode(errors="replace").decode(), value or b""
