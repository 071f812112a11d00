"""Runs a test's coroutine in virtual time, on a log in memory."""

import random
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulation.bank import silence
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import VirtualLoop, simulate
from tests.simulation.storage import Storage
from tests.simulation.weather import CALM, Weather


def on_a_log(main: Callable[[SimulatedLog], Coroutine[Any, Any, None]], weather: Weather = CALM, seed: int = 0) -> None:
    """The log is made anew for each test; what the bus logs is kept quiet."""

    async def run() -> None:
        await main(SimulatedLog(Storage(2), random.Random(seed), weather))

    with silence():
        simulate(run(), VirtualLoop())
