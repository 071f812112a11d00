"""Runs seeds of the bank's world: `python -m tests.simulation.bank FIRST[:LAST]`."""

import logging
import sys

from bus.codec import schemas
from tests.bus.bank import LANGUAGE
from tests.simulation.bank_check import lines, problems
from tests.simulation.bank_world import BankWorld
from tests.simulation.loop import VirtualLoop, simulate

SCHEMAS = {name.split("/")[1]: schema for name, schema in schemas(LANGUAGE).items()}


def run_world(seed: int) -> tuple[BankWorld, list[str]]:
    """One world from its beginning to its quiet end, and what is wrong with its log."""
    loop = VirtualLoop()
    world = BankWorld(seed, loop)
    simulate(world.run(), loop)
    found = list(lines(world.storage.records, SCHEMAS))
    return world, list(problems(found, world.asked))


def main(argument: str) -> int:
    """Print what is wrong with each seed that fails; the number of those is the exit code."""
    logging.basicConfig(level=logging.CRITICAL)
    first, _, last = argument.partition(":")
    failures = 0
    for seed in range(int(first), int(last or int(first) + 1)):
        _, wrong = run_world(seed)
        failures += bool(wrong)
        for problem in wrong:
            sys.stdout.write(f"seed {seed}: {problem}\n")
    sys.stdout.write(f"{failures} seeds failed\n")
    return min(failures, 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
