"""Whatever bytes stand on a channel: they are decoded to what re-encodes to them, or Undecodable says why; never
anything else, and never at a great price."""

import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.codec import Codec, Peek
from bus.errors import Undecodable, UnknownRecordType
from bus.framing import frame_of
from bus.log import RECORD_BYTES_MAX, Raw, Stored
from bus.record import Origin, Record, Report
from services.records import event, task
from services.records.task import RunRequested, TaskCompleted
from tests.bus.hostile import (
    OPEN_TYPES,
    confluent_codec,
    encoded,
    mutations,
    read,
    sample,
    single_object_codec,
)

ROOT = Path(__file__).parents[2]


class Noted(Report, channel="task"):
    """Has a bit of everything, so that its bytes can be written by hand."""

    word: str = ""
    mood: int | None = None
    notes: tuple[str, ...] = ()

    def key(self) -> str:
        return "key"


CODECS = {"single object": single_object_codec(Noted), "confluent": confluent_codec(Noted)}
MUTATIONS_EACH = 250
"""Of a type that does not get all of them."""

PEAK_BYTES_MAX = 64 * 1024 * 1024
CPU_S_MAX = 5.0
"""For the worst record of a type; generous, since machines differ. What goes wrong here goes wrong by far more."""


@pytest.fixture(params=list(CODECS))
def codec(request: pytest.FixtureRequest) -> Codec:
    return CODECS[request.param]


def judged(codec: Codec, raw: Raw) -> bool:
    """Whether it was decoded; then it must be what it is encoded to."""
    try:
        record = read(codec, raw)
    except (Undecodable, UnknownRecordType):
        return False
    assert encoded(codec, record).value == raw.value
    return True


@pytest.mark.parametrize("kind", OPEN_TYPES, ids=lambda kind: kind.__name__)
def test_every_type_that_anybody_may_publish_survives_what_is_done_to_its_bytes(
    codec: Codec, kind: type[Record]
) -> None:
    raw = encoded(codec, sample(kind))
    assert judged(codec, raw)
    found = list(mutations(raw.value))
    chosen = random.Random(kind.__name__).sample(found, min(len(found), MUTATIONS_EACH))
    verdicts = [judged(codec, raw._replace(value=value)) for value in chosen]
    assert verdicts.count(False) > MUTATIONS_EACH // 10


@pytest.mark.parametrize("kind", [RunRequested, TaskCompleted], ids=lambda kind: kind.__name__)
def test_nothing_at_all_can_be_done_to_the_bytes_of_these(codec: Codec, kind: type[Record]) -> None:
    raw = encoded(codec, sample(kind))
    verdicts = [judged(codec, raw._replace(value=value)) for value in mutations(raw.value)]
    assert verdicts.count(True) > 100
    assert verdicts.count(False) > 1000


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(OPEN_TYPES), body=st.binary(max_size=400), which=st.sampled_from(list(CODECS)))
def test_any_body_behind_the_right_beginning(kind: type[Record], body: bytes, which: str) -> None:
    raw = encoded(CODECS[which], sample(kind))
    judged(CODECS[which], raw._replace(value=frame_of(raw.value) + body))


@settings(max_examples=200, deadline=None)
@given(value=st.binary(max_size=40))
def test_any_bytes(value: bytes) -> None:
    for codec in CODECS.values():
        raw = encoded(codec, sample(TaskCompleted))
        assert not judged(codec, raw._replace(value=value))


# What a careless decoder takes for good.

HUGE = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
"""2 to the power of 62, as Avro writes counts and lengths."""

LEAST = Noted()
"""Three bytes: no word, no mood, no notes."""


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (HUGE + b"\x00\x00", "a string longer than all there is"),
        (b"\x01\x00\x00", "a string of negative length"),
        (b"\x04\xff\xfe\x00\x00", "a string that is no UTF-8"),
        (b"\x06\xed\xa0\x80\x00\x00", "half a surrogate pair"),
        (b"\x80\x00\x00\x00", "a zero in two bytes"),
        (b"\xff" * 60 + b"\x00\x00\x00", "a number without an end"),
        (b"\x00\x01\x02\x00", "a union index below zero, which is its last branch to some"),
        (b"\x00\x04\x02\x00", "a union index above its branches"),
        (b"\x00\x00" + HUGE + b"\x00" * 50, "more items than bytes"),
        (b"\x00\x00\x01\x02\x00\x00", "a block of items that says its size, as we never write it"),
        (b"\x00\x00\x01" + HUGE + b"\x00\x00", "a block that says another size than it has"),
        (b"\x00\x00\x02\x00\x02\x00\x00", "two blocks where one would do"),
        (b"\x00\x00\x00" * 2, "two bodies"),
        (b"\x00\x00", "too few fields"),
        (b"", "no body"),
    ],
)
def test_what_a_careless_decoder_takes_for_good_is_undecodable(codec: Codec, body: bytes, why: str) -> None:
    raw = encoded(codec, LEAST)
    assert raw.value == frame_of(raw.value) + b"\x00\x00\x00"
    assert not judged(codec, raw._replace(value=frame_of(raw.value) + body)), why


# Headers and key.


def with_header(raw: Raw, name: str, value: object) -> Raw:
    return raw._replace(headers=tuple((n, value if n == name else v) for n, v in raw.headers))  # type: ignore[misc]


def test_every_change_of_a_header_is_understood_or_refused(codec: Codec) -> None:
    raw = encoded(codec, LEAST)
    for name, value in raw.headers:
        changed: list[object] = [*mutations(value), None, b"\xff\xfe", b"", b"|" * 10_000]
        for other in changed:
            with suppress(Undecodable, UnknownRecordType):
                read(codec, with_header(raw, name, other))
        without = raw._replace(headers=tuple(each for each in raw.headers if each[0] != name))
        if name in ("ce_type", "ce_id", "clawx"):
            with pytest.raises(Undecodable, match="headers lack or garble"):
                read(codec, without)
        else:
            assert read(codec, without) == LEAST


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": b"\xff\xfe"}, "its key is no UTF-8"),
        ({"key": b"k" * 5000}, "a key of 5000 bytes"),
        ({"time_ms": -1}, "is none that a clock shows"),
        ({"time_ms": 2**63 - 1}, "is none that a clock shows"),
        ({"value": b"\x00" * (RECORD_BYTES_MAX + 1)}, "over the limit"),
        ({"headers": ()}, "headers lack or garble"),
        ({"headers": (("ce_type", b"TaskCompleted"),)}, "headers lack or garble"),
    ],
)
def test_what_surrounds_the_body_is_checked_too(codec: Codec, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        read(codec, encoded(codec, LEAST)._replace(**changes))  # type: ignore[arg-type]


def forged(codec: Codec, record: Record, origin: Origin) -> Raw:
    return codec.encode(record, record_id="ab" * 12, origin=origin, time_ms=1, trace="a" * 32)


def test_nobody_passes_a_fact_off_as_something_else(codec: Codec) -> None:
    fact, post = sample(task.TaskAssigned), sample(event.CapacityRequested)
    for kind in ("ask", "report", "post", "claim"):
        with pytest.raises(Undecodable, match=f"never stands as {kind}"):
            read(codec, forged(codec, fact, Origin(kind, "router.roster", cause="task/0/1")))
    assert read(codec, forged(codec, post, Origin("post", "factory.instances", cause="event/0/1"))) == post
    for cause in ("", "event", "event/x/1", "event/-1/1", f"event/{2**40}/1", "telemetry/0/1", "event/0/1/2"):
        with pytest.raises(Undecodable):
            read(codec, forged(codec, post, Origin("post", "factory.instances", cause=cause)))


def test_a_fact_under_a_claim_is_decoded_or_undecodable(codec: Codec) -> None:
    """Its bytes are its owner's, so they are not encoded again; all of them must be used even so."""
    raw = forged(codec, sample(task.StageCompleted), Origin("fact", "orchestrator.runs", "s" * 16, 1))
    for value in random.Random(1).sample(list(mutations(raw.value)), 2000):
        with suppress(Undecodable):
            read(codec, raw._replace(value=value))
    with pytest.raises(Undecodable, match="1 bytes follow the body"):
        read(codec, raw._replace(value=raw.value + b"\x00"))


def test_a_trace_that_is_none_is_replaced_by_one_that_is(codec: Codec) -> None:
    raw = encoded(codec, LEAST)
    for value in (b"", b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01", b"00-" + b"G" * 32 + b"-" + b"1" * 16 + b"-01"):
        stored = Stored(0, raw.key, raw.value, with_header(raw, "traceparent", value).headers, 1)
        found: Peek = codec.peek(stored)
        assert len(found.trace) == 32
        assert int(found.trace, 16)
    assert codec.peek(Stored(0, raw.key, raw.value, raw.headers, 1)).trace == "a" * 32


def test_no_record_takes_much_memory_or_time() -> None:
    """In a process of its own, which is given too little memory for anything to hide."""
    command = [sys.executable, "-m", "tests.bus.hostile_price", str(PEAK_BYTES_MAX), str(CPU_S_MAX)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 1_000_000, "the worst record is there to be measured"
