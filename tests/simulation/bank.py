"""Runs seeds of the bank's world: `python -m tests.simulation.bank FIRST[:LAST]`."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.simulation.bank_world import BankWorld
from tests.simulation.loop import Stuck, VirtualLoop, simulate
from tests.simulation.seeds import report_seeds
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


if __name__ == "__main__":
    sys.exit(report_seeds(sys.argv[1], lambda seed: run_world(seed).wrong))
