"""What all peers share: so many three-step runs at once, timed one by one, and one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

STEPS = 3
WARM_UP_RUNS = 50


def arguments() -> argparse.Namespace:
    """What `compare.py` gives to every peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", default="", help="HOST:PORT of a broker")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=256)
    return parser.parse_args()


async def measure(run: Callable[[int], Awaitable[object]], runs: int, concurrency: int) -> None:
    """Print the figures of so many calls of `run`, each of which is one run of three steps."""
    await _drive(run, range(WARM_UP_RUNS), min(concurrency, WARM_UP_RUNS))
    began = time.perf_counter()
    latencies_s = await _drive(run, range(WARM_UP_RUNS, WARM_UP_RUNS + runs), concurrency)
    print_figures(runs, time.perf_counter() - began, latencies_s)


async def _drive(run: Callable[[int], Awaitable[object]], numbers: range, concurrency: int) -> list[float]:
    waiting, latencies_s = iter(numbers), []

    async def work() -> None:
        for number in waiting:
            began = time.perf_counter()
            await run(number)
            latencies_s.append(time.perf_counter() - began)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return latencies_s


def print_figures(runs: int, seconds: float, latencies_s: list[float]) -> None:
    """As `clawx bench engine --json` prints its own."""
    ordered = sorted(latencies_s)
    found = {
        "runs_per_s": round(runs / seconds, 1),
        "stages_per_s": round(runs * STEPS / seconds, 1),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 2),
    }
    sys.stdout.write(json.dumps(found) + "\n")
