"""Envelopes are read with suspicion: an outcome, or one clear error, whatever stands in them."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.factory.agents.envelope import EnvelopeBroken, parse_envelope, read_envelope, write_envelope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {"ok": st.booleans()},
    optional=dict.fromkeys(("result", "outputs", "quality", "usage", "error"), JSON),
)


@given(FIELDS | st.dictionaries(st.text(), JSON))
def test_any_object_is_an_outcome_or_broken(found: dict[str, Any]) -> None:
    try:
        outcome = read_envelope(found, {"out"})
    except EnvelopeBroken:
        return
    assert read_envelope(json.loads(json.dumps(write_envelope(outcome))), {"out"}) == outcome


@given(st.binary(max_size=200))
def test_any_line_is_an_object_or_broken(line: bytes) -> None:
    with contextlib.suppress(EnvelopeBroken):
        assert isinstance(parse_envelope(line), dict)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, '"ok" must be true or false, found None'),
        ({"ok": 1}, '"ok" must be true or false'),
        ({"ok": True, "result": [1]}, '"result" must be an object'),
        ({"ok": True, "result": {"x": "y" * 40_000}}, "over the limit"),
        ({"ok": True, "result": {"x": "\ud800"}}, "cannot be kept"),
        ({"ok": True, "outputs": {"other": {"text": ""}}}, "declares no output 'other'; it declares: out"),
        ({"ok": True, "outputs": {"out": "text"}}, "output 'out' must be"),
        ({"ok": True, "outputs": {"out": {"text": "a", "path": "b"}}}, "output 'out' must be"),
        ({"ok": True, "outputs": {"out": {"path": 3}}}, "output 'out' must be"),
        ({"ok": True, "quality": True}, '"quality" must be a number from 0 to 1'),
        ({"ok": True, "quality": 1.1}, '"quality" must be a number from 0 to 1'),
        ({"ok": True, "usage": {"tokens": 3}}, "not 'tokens'"),
        ({"ok": True, "usage": {"cpu_ms": -1}}, "count cpu_ms"),
        ({"ok": True, "usage": {"cpu_ms": 2**63}}, "count cpu_ms"),
        ({"ok": False, "error": 3}, '"error" must be a text'),
    ],
)
def test_each_fault_is_named(found: dict[str, Any], words: str) -> None:
    with pytest.raises(EnvelopeBroken) as caught:
        read_envelope(found, {"out"})
    assert words in str(caught.value)


@pytest.mark.parametrize("line", [b"[1]", b"3", b'{"ok": NaN}', b'{"ok": tr', b"done", b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_object_is_shown(line: bytes) -> None:
    with pytest.raises(EnvelopeBroken, match="the last line on stdout"):
        parse_envelope(line)
