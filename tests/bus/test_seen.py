"""What a Decider remembers of the ids it has dealt with."""

import pytest

from bus import seen
from bus.seen import IDS_TTL_MS, Seen


def test_an_id_is_known_once_it_was_added() -> None:
    some = Seen().add("a", 1)
    assert "a" in some
    assert "b" not in some
    assert len(some.add("a", 2)) == 1


def test_an_id_is_forgotten_after_its_time_when_others_come() -> None:
    some = Seen().add("a", 0).add("b", IDS_TTL_MS)
    assert "a" in some
    later = some.add("c", IDS_TTL_MS + 1)
    assert "a" not in later
    assert "b" in later


def test_ids_never_outgrow_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "IDS_MAX", 10)
    some = Seen()
    for number in range(100):
        some = some.add(str(number), number)
        assert len(some) <= 10
    assert [str(n) in some for n in (89, 90, 99)] == [False, True, True]


def test_old_ids_are_forgotten_faster_than_new_ones_come() -> None:
    some = Seen()
    for number in range(50):
        some = some.add(f"old {number}", 0)
    for number in range(30):
        some = some.add(f"new {number}", 2 * IDS_TTL_MS)
    assert len(some) == 30
