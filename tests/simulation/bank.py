"""Runs seeds of the bank's world: `python -m tests.simulation.bank FIRST[:LAST]`."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.simulation.bank_world import BankWorld
from tests.simulation.loop import Stuck, VirtualLoop, simulate
from tests.simulation.weather import STORMS, Weather

COMMAND = "python -m tests.simulation.bank"


@contextmanager
def silence() -> Iterator[None]:
    """What the bus logs in bad weather fills pages."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def run_world(seed: int, storms: Sequence[Weather] = STORMS) -> BankWorld:
    """One world from its beginning to its quiet end."""
    loop, world = VirtualLoop(), BankWorld(seed, storms)
    with silence():
        try:
            simulate(world.run(), loop)
        except Stuck as stuck:
            world.wrong.append(f"quiet: {stuck}")
    return world


def main(argument: str) -> int:
    """Print what is wrong with each seed that fails; the number of those is the exit code."""
    first, _, last = argument.partition(":")
    failures = 0
    for seed in range(int(first), int(last or int(first) + 1)):
        wrong = run_world(seed).wrong
        failures += bool(wrong)
        for problem in wrong:
            sys.stdout.write(f"seed {seed}: {problem}\n")
    sys.stdout.write(f"{failures} seeds failed\n")
    return min(failures, 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
