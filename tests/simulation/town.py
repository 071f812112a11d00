"""Runs seeds of the town: `python -m tests.simulation.town FIRST[:LAST]`."""

import sys

from tests.simulation.bank import silence
from tests.simulation.loop import Stuck, VirtualLoop, simulate
from tests.simulation.seeds import report_seeds
from tests.simulation.town_check import problems
from tests.simulation.town_world import TownWorld

COMMAND = "python -m tests.simulation.town"


def run_town(seed: int) -> tuple[TownWorld, list[str]]:
    """One world from its beginning to its quiet end, and what is wrong with it."""
    loop, world = VirtualLoop(), TownWorld(seed)

    async def live() -> list[str]:
        await world.run()
        return list(problems(world))

    with silence():
        try:
            return world, simulate(live(), loop)
        except (Stuck, AssertionError) as stuck:
            return world, [f"quiet: {stuck}"]


if __name__ == "__main__":
    sys.exit(report_seeds(sys.argv[1], lambda seed: run_town(seed)[1][:5]))
