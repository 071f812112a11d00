"""The schedules of the ownership model hold when the bus itself is the owner, and each rule taken away is missed."""

from contextlib import nullcontext
from unittest.mock import patch

import pytest

from bus.fence import Fence
from tests.simulation.planted import planted
from tests.simulation.planted_recovery import _believe_the_first
from tests.simulation.schedules import World, first_problem

IN_THE_BUS = (
    "no_fence",
    "claim_without_compare",
    "gap_ignored",
    "decide_again",
    "fold_short",
    "straddle",
    "effect_early",
    "post_not_repeated",
)
IN_THE_OWNER = ("no_resume", "cold_fence")
SCHEDULES = 150


def test_every_schedule_holds_with_all_rules() -> None:
    assert not first_problem(SCHEDULES)


def test_schedules_are_not_idle() -> None:
    world = World(1)
    world.run()
    claims = sum(b"claim|R" in dict(stored.headers)["clawx"] for log in world.records.values() for stored in log)
    assert claims > 5
    assert all(len(log) > 10 for log in world.records.values())


@pytest.mark.parametrize("name", IN_THE_BUS)
def test_each_rule_of_the_bus_is_needed(name: str) -> None:
    with planted(name):
        assert first_problem(SCHEDULES), f"nothing is wrong without {name}"


@pytest.mark.parametrize("name", IN_THE_OWNER)
def test_each_rule_of_an_owner_is_needed(name: str) -> None:
    learning = patch.object(Fence, "read", _believe_the_first) if name == "cold_fence" else nullcontext()
    with learning:
        assert first_problem(SCHEDULES, name), f"nothing is wrong without {name}"


@pytest.mark.soak
def test_many_more_schedules_hold() -> None:
    assert not first_problem(20_000)
