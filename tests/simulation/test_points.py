"""A process ends at every point of its life, and again while it recovers: nothing is lost, nothing is done twice."""

import pytest

from tests.simulation.bank_check import counts
from tests.simulation.planted import BUGS, planted
from tests.simulation.point_world import COMMAND, ENDS, PointWorld, run_points

SERVICES = ("bank", "vault")
EVERYWHERE = {
    f"{what} {moment}"
    for what in ("claim", "fact", "post", "Heard", "PostAcknowledged")
    for moment in ("sent", "landed", "acknowledged")
} | {"event read"}
"""The points that each service must pass, or they prove nothing."""


def check(service: str, end: str, *points: int) -> PointWorld:
    world = run_points(service, end, points)
    lives = [life[-1] for life in world.passed if life]
    arguments = " ".join(map(str, points))
    assert not world.wrong, f"{world.wrong[:3]} after {lives}; repeat with: {COMMAND} {service} {end} {arguments}"
    return world


@pytest.mark.parametrize("service", SERVICES)
def test_a_life_passes_every_kind_of_point(service: str) -> None:
    world = check(service, "crash")
    assert set(world.passed[0]) >= EVERYWHERE
    said = counts(world.book.facts)
    assert said["Receipted"] == 7
    assert said["CoinCounted"] == 5
    assert said["InputQuarantined"] == 1
    assert said["Reminded"] == 4


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_dies_at_each_point_of_its_life(service: str) -> None:
    points = len(check(service, "crash").passed[0])
    assert points > 60
    for point in range(1, points + 1):
        assert len(check(service, "crash", point).passed) == 2, "it did not die"


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_falls_asleep_at_points_of_its_life_and_wakes_as_a_zombie(service: str) -> None:
    points = len(check(service, "sleep").passed[0])
    for point in range(1, points + 1, 3):
        check(service, "sleep", point)


@pytest.mark.parametrize("service", SERVICES)
def test_its_successor_dies_while_it_recovers(service: str) -> None:
    points = len(check(service, "crash").passed[0])
    deaths = 0
    for first in range(3, points + 1, 17):
        for second in range(1 + first % 3, 40, 6):
            deaths += len(check(service, "crash", first, second).passed) == 3
    assert deaths > 15


@pytest.mark.soak
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("end", ENDS)
def test_any_two_ends(service: str, end: str) -> None:
    points = len(check(service, end).passed[0])
    for first in range(1, points + 1):
        check(service, end, first)
        for second in range(1, 80):
            check(service, end, first, second)


@pytest.mark.parametrize("bug", ["decide_again", "heard_ahead", "post_not_repeated"])
def test_ends_at_points_catch_planted_bugs(bug: str) -> None:
    with planted(bug):
        assert any(run_points("bank", "crash", [point]).wrong for point in range(1, 100)), BUGS[bug].meaning
