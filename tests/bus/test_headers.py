"""Headers as others read them: CloudEvents in binary mode over Kafka, and W3C trace context."""

import re
from urllib.parse import urlsplit

import pytest

from bus.codec import Codec
from bus.log import Raw
from bus.record import Origin, Record, derive_id, derive_trace
from tests.bus.bank import LANGUAGE, Deposited, DepositRequested

CODEC = Codec(LANGUAGE)
ASK = DepositRequested(workspace_id="w", amount=1)
FACT = Deposited(workspace_id="w", account=0, amount=1, total=1, ask_id="ask")
OF_ASK, OF_FACT = Origin("ask"), Origin("fact", "bank.teller", "s" * 16, 3, 4, 0, 1, "task/0/1")


def encoded(record: Record, origin: Origin, record_id: str) -> Raw:
    return CODEC.encode(record, record_id=record_id, origin=origin, time_ms=1, trace=derive_trace("run"))


@pytest.mark.parametrize(("record", "origin"), [(ASK, OF_ASK), (FACT, OF_FACT)], ids=["ask", "fact"])
def test_a_record_has_what_cloudevents_requires_in_binary_mode(record: Record, origin: Origin) -> None:
    """CloudEvents 1.0.2, "Required attributes", and its Kafka protocol binding, "Binary content mode"."""
    headers = encoded(record, origin, derive_id("x")).headers
    assert len(dict(headers)) == len(headers), "no attribute twice"
    attributes = {name[3:]: value.decode() for name, value in headers if name.startswith("ce_")}
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in attributes)
    assert attributes["specversion"] == "1.0"
    assert attributes["id"] == derive_id("x")
    assert attributes["type"] == type(record).__name__
    source = urlsplit(attributes["source"])
    assert source.path
    assert not re.search(r"[\s<>\"{}|\\^`]", attributes["source"]), "a URI reference"
    assert attributes["source"] == f"/clawx/{origin.role or 'ask'}"


@pytest.mark.parametrize(
    "record_id", [derive_id("x"), "0" * 24, "order-17", "ÄÖÜ", "a", "ABCDEF0123456789ABCDEF01", "0123456789abcdef" * 2]
)
def test_the_trace_context_is_one_whatever_the_id_is(record_id: str) -> None:
    """W3C Trace Context, "traceparent": version, trace id, parent id, flags; neither id is zero."""
    traceparent = dict(encoded(ASK, OF_ASK, record_id).headers)["traceparent"].decode()
    version, trace, parent, flags = traceparent.split("-")
    assert (version, flags) == ("00", "01")
    assert re.fullmatch("[0-9a-f]{32}", trace)
    assert int(trace, 16)
    assert re.fullmatch("[0-9a-f]{16}", parent)
    assert int(parent, 16)


def test_records_of_one_run_share_a_trace_and_have_spans_of_their_own() -> None:
    parents = set()
    for number in range(100):
        value = dict(encoded(FACT, OF_FACT, derive_id("bank.teller", "cause", number)).headers)["traceparent"].decode()
        _, trace, parent, _ = value.split("-")
        assert trace == derive_trace("run")
        parents.add(parent)
    assert len(parents) == 100
