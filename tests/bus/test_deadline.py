"""Deadlines behave like a dict of names to times whose first entry is its smallest."""

from hypothesis import given
from hypothesis import strategies as some
from immutables import Map

from bus.deadline import Deadlines

NAMES = some.sampled_from(["a", "b", "c", "d", "e"])
TIMES = some.integers(0, 20)
CHANGES = some.lists(some.one_of(some.tuples(NAMES, TIMES), some.tuples(NAMES, some.none())), max_size=60)


def first_of(times: dict[str, int]) -> tuple[int, str] | None:
    return min(((at_ms, name) for name, at_ms in times.items()), default=None)


def changed(due: Deadlines, name: str, at_ms: int | None) -> Deadlines:
    return due.clear(name) if at_ms is None else due.set(name, at_ms)


@given(CHANGES)
def test_every_change_gives_what_a_dict_would_give(changes: list[tuple[str, int | None]]) -> None:
    due, times = Deadlines(), dict[str, int]()
    versions = [(due, dict(times))]
    for name, at_ms in changes:
        due = changed(due, name, at_ms)
        if at_ms is None:
            times.pop(name, None)
        else:
            times[name] = at_ms
        versions.append((due, dict(times)))
    for due, times in versions:  # also the old ones: nothing changes in place
        assert dict(due) == times
        assert len(due) == len(times)
        assert due.first() == first_of(times)


@given(CHANGES)
def test_the_way_to_it_does_not_matter(changes: list[tuple[str, int | None]]) -> None:
    due = Deadlines()
    for name, at_ms in changes:
        due = changed(due, name, at_ms)
    same = Deadlines(Map(dict(due)))
    assert due == same
    assert hash(due) == hash(same)
    assert repr(due) == repr(same)
    assert due.first() == same.first()


@given(some.dictionaries(some.text(max_size=3), some.integers(), min_size=1), some.integers())
def test_a_different_time_is_a_difference(times: dict[str, int], at_ms: int) -> None:
    due, name = Deadlines(Map(times)), min(times)
    assert (due.set(name, at_ms) == due) == (times[name] == at_ms)
    assert due.set("another name", at_ms) != due
    assert due != times


@given(some.dictionaries(some.text(max_size=3), some.integers()))
def test_they_come_in_the_order_of_their_times(times: dict[str, int]) -> None:
    due, came = Deadlines(Map(times)), []
    while first := due.first():
        came.append(first)
        due = due.clear(first[1])
    assert came == sorted((at_ms, name) for name, at_ms in times.items())


def test_what_was_changed_or_cleared_does_not_pile_up() -> None:
    due = Deadlines().set("first", 0)
    for at_ms in range(10_000):
        due = due.set("again", at_ms + 1)
    assert due._size <= 2 * len(due) + 64
    for number in range(10_000):
        due = due.set(str(number), 10_000 - number).clear(str(number))
    assert due._size <= 2 * len(due) + 64
    assert dict(due) == {"first": 0, "again": 10_000}


def test_a_deep_heap_is_no_recursion() -> None:
    due = Deadlines()
    for at_ms in range(50_000, 0, -1):
        due = due.set(str(at_ms), at_ms)
    assert due.first() == (1, "1")
    assert due.clear("1").first() == (2, "2")
    del due
