"""YAML as plain values that know their lines, also when it is hostile."""

import pytest

from services.definitions.document import DEPTH_MAX, read_document
from services.definitions.problem import DefinitionInvalid


def refusal(data: bytes) -> str:
    with pytest.raises(DefinitionInvalid) as caught:
        read_document(data, "f.yaml")
    return str(caught.value)


def test_values_are_what_json_knows_and_words_of_older_yaml_stay_text() -> None:
    text = b"j: 1_000\nk: 1:30\n"
    text += b"a: on\nb: yes\nc: 2024-01-01\nd: 012\ne: 0x1f\nf: 1.5e3\ng: ~\nh: 'true'\ni: true\non: 1\n"
    value = read_document(text, "f").value
    assert value == {
        "a": "on",
        "b": "yes",
        "c": "2024-01-01",
        "d": 12,
        "e": 31,
        "f": 1500.0,
        "g": None,
        "h": "true",
        "i": True,
        "on": 1,
        "j": "1_000",
        "k": "1:30",
    }


def test_each_part_knows_its_line() -> None:
    place = read_document(b"a:\n  - x\n  - b: 1\n    c:\n      2\n", "f").place
    assert place.line_of(("a", 0)) == 2
    assert place.line_of(("a", 1, "b")) == 3
    assert place.line_of(("a", 1, "c")) == 4
    assert place.line_of(("a", 1, "nothing", "below")) == 3


def test_anchors_and_merged_mappings_work() -> None:
    value = read_document(b"base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nsame: *b\n", "f").value
    assert value["own"] == {"x": 1, "y": 3}
    assert value["same"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: [1\nc: 2\n", "f.yaml:3: the file cannot be read as YAML"),
        (b"a: 1\nb: 2\na: 3\n", "f.yaml:3: the field `a` is written twice"),
        (b"", "f.yaml:1: the file is empty"),
        (b"# nothing\n", "the file is empty"),
        (b"a: 1\n---\nb: 2\n", "f.yaml:2: the file holds a second document"),
        (b"a: *missing\n", "the alias `*missing` has no anchor"),
        (b"a: 1\nb: !!python/object/apply:os.system [x]\n", "f.yaml:2: the tag `!!python/object/apply:os.system`"),
        (b"a: !custom x\n", "the tag `!custom` is not known here"),
        (b"a: .inf\n", "is not a finite number"),
        (b"a: 1e999\n", "is too large a number"),
        (b"a: \x07\n", "control characters"),
        (b"a: \xff\n", "the file cannot be read as YAML"),
        (b"? [1]\n: 2\n", "a field name must be text"),
        (b"a:\n  <<: 1\n", "`<<` takes a mapping"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(data: bytes, expected: str) -> None:
    assert expected in refusal(data)


def test_deep_nesting_is_refused_before_it_can_exhaust_the_stack() -> None:
    assert f"or {DEPTH_MAX} levels" in refusal(b"[" * 200_000)


def test_aliases_that_multiply_are_counted_as_often_as_they_are_used() -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 9)]
    assert "values" in refusal(b"\n".join(lines))
