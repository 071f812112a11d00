"""A fence admits what a naive reading of the whole log admits, and nothing else."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from bus.fence import Fence, Fences
from bus.record import Origin

ROLES = some.sampled_from(["r", "s"])
SESSIONS = some.sampled_from(["", "x", "y", "z"])
EPOCHS = some.integers(0, 4)
ORIGINS = some.one_of(
    some.builds(Origin, some.just("claim"), ROLES, SESSIONS, EPOCHS),
    some.builds(Origin, some.just("fact"), ROLES, SESSIONS, EPOCHS, some.integers(0, 4)),
    some.builds(Origin, some.sampled_from(["ask", "report", "post"]), ROLES, SESSIONS, EPOCHS, some.integers(0, 4)),
)


@some.composite
def histories(draw: Any) -> list[Origin]:
    """Noise, with stretches that an honest owner could have written, and what its zombies add."""
    found: list[Origin] = []
    for epoch in range(1, draw(some.integers(0, 4)) + 1):
        session = draw(SESSIONS)
        found.append(Origin("claim", "r", session, epoch))
        facts = [Origin("fact", "r", session, epoch, seq) for seq in range(draw(some.integers(0, 4)))]
        for fact in facts:
            found += draw(some.lists(ORIGINS, max_size=1))
            found += draw(some.sampled_from([[fact], [fact], [fact], [], [fact, fact]]))
    noise: list[Origin] = draw(some.lists(ORIGINS, max_size=10))
    return found + noise


def naive(history: list[Origin], at: int) -> bool:
    """Whether the record at this place counts, found by looking at everything before it."""
    origin = history[at]
    if origin.kind not in ("claim", "fact"):
        return True
    claims: list[int] = []  # the places of those that count: the first with the next epoch
    for place, other in enumerate(history[: at + 1]):
        if other.kind == "claim" and other.role == origin.role and other.epoch == len(claims) + 1:
            claims.append(place)
    if origin.kind == "claim":
        return bool(claims) and claims[-1] == at
    if not claims or history[claims[-1]][1:4] != origin[1:4]:
        return False
    said = [o.seq for o in history[claims[-1] + 1 : at + 1] if o.kind == "fact" and o[1:4] == origin[1:4]]
    return said == list(range(len(said)))


@given(histories())
def test_a_fence_reads_as_one_reads_by_hand(history: list[Origin]) -> None:
    fences = Fences()
    assert [fences.admit(origin) for origin in history] == [naive(history, at) for at in range(len(history))]


@given(histories(), some.integers(0, 30))
def test_a_reader_that_starts_at_a_saved_place_goes_on_as_if_it_had_read_all(history: list[Origin], at: int) -> None:
    fences = Fences()
    for origin in history[:at]:
        fences.admit(origin)
    later = Fences.restored(fences.saved())
    copied = fences.copy()
    for origin in history[at:]:
        assert later.admit(origin) == fences.admit(origin)
    assert later.by_role == fences.by_role
    assert Fences.restored(copied.saved()).by_role == copied.by_role


def test_of_two_claims_with_one_epoch_the_first_counts() -> None:
    fences = Fences()
    assert fences.admit(Origin("claim", "r", "x", 1))
    assert not fences.admit(Origin("claim", "r", "y", 1))
    assert not fences.admit(Origin("fact", "r", "y", 1, 0))
    assert fences.admit(Origin("fact", "r", "x", 1, 0))


def test_from_a_gap_on_nothing_counts_until_the_next_claim() -> None:
    fences = Fences()
    fences.admit(Origin("claim", "r", "x", 1))
    assert not fences.admit(Origin("fact", "r", "x", 1, 1))
    assert not fences.admit(Origin("fact", "r", "x", 1, 0))
    assert fences.by_role["r"] == Fence("x", 1, 0, gap=True)
    assert fences.admit(Origin("claim", "r", "y", 2))
    assert fences.admit(Origin("fact", "r", "y", 2, 0))


def test_under_no_claim_no_fact_counts() -> None:
    """A fence that nobody claimed looks like a claim of the session without a name at epoch 0."""
    fences = Fences()
    assert not fences.admit(Origin("fact", "r", "", 0, 0))
    assert not fences.admit(Origin("claim", "r", "", 0))


def test_what_is_said_in_the_name_of_a_role_that_nobody_claimed_is_not_remembered() -> None:
    fences = Fences()
    for number in range(100):
        fences.admit(Origin("fact", f"nobody-{number}", "x", 1, 0))
    assert not fences.by_role
    assert not fences.saved()
