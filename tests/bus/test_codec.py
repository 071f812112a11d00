"""What is encoded is decoded to what it was: every type of the language, whoever wrote the headers."""

import random
from typing import Any

import pytest

from bus.channel import Partition
from bus.codec import PEEKS_MAX, Codec
from bus.errors import Undecodable, UnknownRecordType
from bus.log import RECORD_BYTES_MAX, Raw, Stored
from bus.record import Ask, Claimed, Origin, Record, Report, derive_id
from services.records import LANGUAGE
from services.records.task import TaskCompleted
from tests.bus.random_records import TYPES, kinds_of, records

CODEC = Codec(LANGUAGE)
NAMES = ("a", "router.roster", "漢字", "x" * 60)
CAUSES = ("task/0/1", "event/7/99")


class Note(Ask, channel="task"):
    workspace_id: str
    number: int = 0


def stored(raw: Raw, offset: int = 7) -> Stored:
    return Stored(offset, raw.key, raw.value, raw.headers, raw.time_ms)


def decoded(codec: Codec, raw: Raw) -> Any:
    found = stored(raw)
    return codec.decode(found, codec.peek(found), Partition("task", 3))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_type_comes_back_as_it_was(kind: type[Record]) -> None:
    rng = random.Random(kind.__name__)
    for record in records(kind, 25):
        for stands_as in kinds_of(record):
            origin, record_id = Origin(stands_as, cause=rng.choice(CAUSES)), rng.choice(NAMES)
            if stands_as not in ("ask", "report"):
                epoch, seq, part, parts = (rng.choice((0, 1, 2**63 - 1)) for _ in range(4))
                role, session = rng.choice(NAMES), rng.choice(NAMES)
                origin = Origin(stands_as, role, session, epoch, seq, part, parts, origin.cause)
                record_id = derive_id(record_id)
            trace, key = f"{rng.getrandbits(128) | 1:032x}", rng.choice(NAMES)
            raw = CODEC.encode(record, record_id=record_id, origin=origin, time_ms=1, trace=trace, key=key)
            envelope = decoded(CODEC, raw)
            assert envelope.record == record
            assert type(envelope.record) is kind
            assert (envelope.id, envelope.origin, envelope.trace, envelope.key) == (record_id, origin, trace, key)
            assert (envelope.at, envelope.time_ms) == (("task", 3, 7), 1)


def test_headers_may_come_in_any_order_with_others_among_them() -> None:
    rng = random.Random(0)
    for record in records(TaskCompleted, 50):
        raw = CODEC.encode(record, record_id="ab" * 12, origin=Origin("report"), time_ms=1, trace="a" * 32, key="k")
        headers: list[tuple[str, bytes]] = [*raw.headers, ("tracestate", b"x=1"), ("ce_time", b"now")]
        rng.shuffle(headers)
        shuffled = raw._replace(headers=headers)
        assert CODEC.peek(stored(shuffled)) == CODEC.peek(stored(raw))
        assert decoded(CODEC, shuffled) == decoded(CODEC, raw)


@pytest.mark.parametrize("traceparent", [None, b"", b"00-" + b"a" * 32, b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01"])
def test_who_gives_no_trace_that_is_one_starts_its_own(traceparent: bytes | None) -> None:
    raws = [
        Codec([Note]).encode(
            Note(workspace_id="w"), record_id=record_id, origin=Origin("ask"), time_ms=1, trace="a" * 32
        )
        for record_id in ("one", "other")
    ]
    headers = [[(name, traceparent if name == "traceparent" else value) for name, value in r.headers] for r in raws]
    traces = [CODEC.peek(stored(raw._replace(headers=each))).trace for raw, each in zip(raws, headers, strict=True)]  # type: ignore[arg-type]
    assert all(len(trace) == 32 and set(trace) <= set("0123456789abcdef") for trace in traces)
    assert traces[0] != traces[1]


@pytest.mark.parametrize("too_large", [2**63, -(2**63) - 1, 2**64, 2**100])
def test_a_number_that_does_not_fit_is_an_error_and_never_another_number(too_large: int) -> None:
    note = Note(workspace_id="w", number=too_large)
    with pytest.raises((OverflowError, ValueError)):
        Codec([Note]).encode(note, record_id="x", origin=Origin("ask"), time_ms=1, trace="a" * 32)


def test_a_record_that_is_not_in_the_language_is_neither_written_nor_read() -> None:
    note = Note(workspace_id="w")
    with pytest.raises(UnknownRecordType, match="Note"):
        CODEC.encode(note, record_id="x", origin=Origin("ask"), time_ms=1, trace="a" * 32)
    raw = Codec([Note]).encode(note, record_id="x", origin=Origin("ask"), time_ms=1, trace="a" * 32)
    with pytest.raises(UnknownRecordType, match="upgrade"):
        decoded(CODEC, raw)


def test_a_type_of_the_same_name_with_other_fields_is_undecodable() -> None:
    theirs = type("Note", (Report,), {"__annotations__": {"workspace_id": str, "word": str}}, channel="task")
    raw = Codec([theirs]).encode(
        theirs(workspace_id="w", word="x"), record_id="x", origin=Origin("report"), time_ms=1, trace="a" * 32
    )
    with pytest.raises(Undecodable):
        decoded(Codec([Note]), raw)


def test_a_body_over_the_limit_is_undecodable_whoever_vouches_for_it() -> None:
    claim = Claimed(role="r" * RECORD_BYTES_MAX, session="s", epoch=1)
    raw = CODEC.encode(claim, record_id="x", origin=Origin("claim", "r", "s", 1), time_ms=1, trace="a" * 32)
    with pytest.raises(Undecodable, match="over the limit"):
        decoded(CODEC, raw)


def test_shared_peeks_are_those_of_the_very_object() -> None:
    sharing = Codec((Note,))
    sharing.share_peeks()
    for number in range(3 * PEEKS_MAX):  # far more objects than are remembered, so that ids are used again
        name = f"{number:024x}"
        note = Note(workspace_id="w")
        each = stored(sharing.encode(note, record_id=name, origin=Origin("ask"), time_ms=1, trace="a" * 32))
        assert sharing.peek(each) is sharing.peek(each)
        assert sharing.peek(each).id == name
