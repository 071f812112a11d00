"""Each rule of the bus, taken away, is missed by some check: the simulation is able to fail."""

import pytest

from tests.simulation.bank import run_world
from tests.simulation.planted import BUGS, caught, planted

SEEDS_MAX = 100


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_planted_bug_is_caught(name: str) -> None:
    bug = BUGS[name]
    seed, wrong = caught(name, SEEDS_MAX)
    assert seed >= 0, f"nobody missed that {bug.meaning} in {SEEDS_MAX} seeds"
    broken = {problem.partition(":")[0] for problem in wrong}
    assert broken & bug.breaks, f"expected one of {sorted(bug.breaks)} to break: {wrong[:5]}"


def test_a_bug_is_gone_after_its_test() -> None:
    with planted("straddle"):
        assert run_world(0).wrong
    assert not run_world(0).wrong
