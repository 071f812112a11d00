"""Runs seeds of the town: `python -m tests.simulation.town FIRST[:LAST]`."""

import sys

from tests.simulation.bank import silence
from tests.simulation.loop import Stuck, VirtualLoop, simulate
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


def main(argument: str) -> int:
    """Print what is wrong with each seed that fails; the number of those is the exit code."""
    first, _, last = argument.partition(":")
    failures = 0
    for seed in range(int(first), int(last or int(first) + 1)):
        wrong = run_town(seed)[1]
        failures += bool(wrong)
        for problem in wrong[:5]:
            sys.stdout.write(f"seed {seed}: {problem}\n")
    sys.stdout.write(f"{failures} seeds failed\n")
    return min(failures, 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
