"""Digests of states: equal where states are equal, different where they are not, the same in every process."""

import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as some
from immutables import Map

from bus.deadline import Deadlines
from bus.digest import canonical_bytes, digest_of
from tests.bus.bank import DepositRequested


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Pair(NamedTuple):
    left: int
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    items: Map[str, Any] = field(default_factory=Map)
    pair: Pair = field(default_factory=lambda: Pair(1, "x"))
    due: Deadlines = field(default_factory=Deadlines)
    tags: frozenset[str] = frozenset()
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    items: Map[str, Any] = field(default_factory=Map)


FULL = Shelf(
    items=Map({name: (n, str(n)) for n, name in enumerate("abcdefghij")}),
    due=Deadlines().set("late", 9).set("soon", 3),
    tags=frozenset({"one", "two", "three"}),
)
PROGRAM = "from tests.bus.test_digest import FULL, digest_of; print(digest_of(FULL))"

LEAVES = some.one_of(some.none(), some.booleans(), some.integers(), some.floats(), some.text(), some.binary())
VALUES = some.recursive(
    LEAVES, lambda inner: some.one_of(some.tuples(inner, inner), some.dictionaries(some.text(), inner), some.just(()))
)


@given(VALUES, VALUES)
def test_values_have_the_same_bytes_only_if_they_are_equal(one: Any, other: Any) -> None:
    if canonical_bytes(one) == canonical_bytes(other):
        assert repr(_sorted(one)) == repr(_sorted(other))
    assert digest_of(one) == digest_of(one)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, repr(_sorted(inner))) for key, inner in value.items())
    return tuple(map(_sorted, value)) if isinstance(value, tuple) else value


@given(some.dictionaries(some.text(), some.integers()), some.randoms())
def test_the_order_of_a_map_does_not_matter(times: dict[str, int], random: Any) -> None:
    names = list(times)
    random.shuffle(names)
    shuffled = {name: times[name] for name in names}
    assert digest_of(Map(times)) == digest_of(Map(shuffled)) == digest_of(times)


@given(some.lists(some.tuples(some.sampled_from("abc"), some.integers(0, 9))))
def test_deadlines_count_by_their_times_and_not_by_the_way_to_them(changes: list[tuple[str, int]]) -> None:
    due = Deadlines()
    for name, at_ms in changes:
        due = due.set(name, at_ms)
    assert digest_of(due) == digest_of(Deadlines(Map(dict(changes))))


@pytest.mark.parametrize(
    "changed",
    [
        replace(FULL, pair=Pair(2, "x")),
        replace(FULL, colour=Colour.BLUE),
        replace(FULL, tags=frozenset({"one", "two"})),
        replace(FULL, due=FULL.due.clear("soon")),
        replace(FULL, items=FULL.items.set("a", (0, 0))),
        replace(FULL, items=FULL.items.set("k", None)),
    ],
    ids=["tuple", "enum", "set", "deadlines", "value", "key"],
)
def test_every_part_of_a_state_counts(changed: Shelf) -> None:
    assert digest_of(changed) != digest_of(FULL)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (0, False), (1, 1.0), ("1", b"1"), ((), []), ("", None), (Shelf(), Box()), (Pair(1, "x"), (1, "x"))],
)
def test_values_of_different_types_differ(one: Any, other: Any) -> None:
    assert digest_of(one) != digest_of(other)


def test_records_count_by_their_fields() -> None:
    ask = DepositRequested(workspace_id="w", amount=1)
    assert digest_of(ask) == digest_of(DepositRequested(workspace_id="w", amount=1))
    assert digest_of(ask) != digest_of(DepositRequested(workspace_id="w", amount=2))


def test_a_value_that_is_no_state_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        digest_of({"a": object()})


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_comes_to_the_same_digest(seed: str) -> None:
    environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": "Asia/Shanghai", "LC_ALL": "C"}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=50
    )
    assert found.stdout.strip() == digest_of(FULL)
