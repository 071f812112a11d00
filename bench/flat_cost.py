"""Whether cost stays flat: throughput and memory of the embedded system while its log grows to very many finished runs,
then pairs of measurements on that log and on an empty one, and the time that a restart on it takes.

`python bench/flat_cost.py --history 100000` prints JSON and draws bench/flat_cost.svg. The figures of a pair are runs a
CPU second, which the neighbours of a busy machine disturb less than runs a second.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bus.channel import STATE_CHANNELS, Partition
from services.cli.bench.fleet import Fleet, embedded
from services.cli.bench.load import Load
from services.cli.loop import run_async
from services.settings import Settings

CONCURRENCY = 256
WORKSPACES = 32
STEP_RUNS = 2_500
PAIRS = 5
PAIR_RUNS = 1_500
WARM_UP_RUNS = 300


class Step(NamedTuple):
    """What one stretch of the history took, and the memory at its end."""

    runs: int
    runs_per_s: float
    runs_per_cpu_s: float
    memory_mib: float


async def grow(directory: Path, history: int) -> list[Step]:
    """Let so many runs complete, by the system itself."""
    steps = []
    async with embedded(_settings(directory)) as fleet:
        load = await _prepared(fleet)
        for runs in range(STEP_RUNS, history + 1, STEP_RUNS):
            steps.append(await _stretch(load, fleet, STEP_RUNS, runs))
            sys.stderr.write(f"{steps[-1]}\n")
        await load.close()
    return steps


async def measure(directory: Path) -> dict[str, float]:
    """Start the system on what is there, and let a few runs complete."""
    began = time.perf_counter()
    async with embedded(_settings(directory)) as fleet:
        started_s = time.perf_counter() - began
        load = await _prepared(fleet)
        await load.run(WARM_UP_RUNS)
        step = await _stretch(load, fleet, PAIR_RUNS, 0)
        records = await _records(fleet)
        await load.close()
    return {"start_s": round(started_s, 2), "records": records, **step._asdict()}


async def _prepared(fleet: Fleet) -> Load:
    load = Load(fleet=fleet, workspaces=WORKSPACES, concurrency=CONCURRENCY, agent="inline")
    await load.prepare()
    return load


async def _stretch(load: Load, fleet: Fleet, runs: int, total: int) -> Step:
    load.latencies_s.clear()
    before_s = fleet.cpu_s()
    seconds = await load.run(runs)
    memory_mib = psutil.Process().memory_info().rss / 2**20
    return Step(total, round(runs / seconds, 1), round(runs / (fleet.cpu_s() - before_s), 1), round(memory_mib, 1))


async def _records(fleet: Fleet) -> int:
    partitions = [Partition(channel, number) for channel in STATE_CHANNELS for number in range(fleet.log.partitions)]
    return sum((await fleet.log.ends(partitions)).values())


def _settings(directory: Path) -> Settings:
    return Settings.read({}, data=directory, namespace="flat", node="flat", bus=f"sqlite:///{directory}/log")


def _alone(results: Any, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
    results.put(run_async(work(*arguments)))


def in_process(work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
    """What this gives in a process of its own, whose memory is not that of what went before."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_alone, args=(results, work, *arguments))
    process.start()
    found = results.get()
    process.join()
    return found


def compare(directory: Path) -> dict[str, Any]:
    """Interleaved pairs on the long log and on an empty one."""
    long, empty = [], []
    for _ in range(PAIRS):
        long.append(in_process(measure, directory))
        with tempfile.TemporaryDirectory(prefix="clawx-flat-") as fresh:
            empty.append(in_process(measure, Path(fresh)))
    ratios = {
        figure: [round(a[figure] / b[figure], 3) for a, b in zip(long, empty, strict=True)]
        for figure in ("runs_per_s", "runs_per_cpu_s", "memory_mib")
    }
    medians = {figure: statistics.median(values) for figure, values in ratios.items()}
    return {"ratios": ratios, "median_ratios": medians, "long": long, "empty": empty}


def draw(steps: list[Step]) -> str:
    """Two curves over the finished runs in the log, each in a panel of its own, as SVG."""
    total = steps[-1].runs
    throughput = [(step.runs / total, step.runs_per_cpu_s) for step in steps]
    memory = [(step.runs / total, step.memory_mib) for step in steps]
    panels = _panel(40, "runs a CPU second", throughput) + _panel(240, "resident memory, MiB", memory)
    caption = f'<text x="60" y="440">finished runs in the log, 0 to {total:,}</text>'
    style = 'font-family="sans-serif" font-size="13"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="460" {style}>\n{panels}{caption}\n</svg>\n'


def _panel(top: int, title: str, points: list[tuple[float, float]]) -> str:
    left, width, height = 60, 620, 150
    highest = max(value for _, value in points) * 1.1
    line = " ".join(f"{left + x * width:.1f},{top + height * (1 - value / highest):.1f}" for x, value in points)
    return (
        f'<text x="{left}" y="{top - 8}">{title}</text>\n'
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>\n'
        f'<text x="{left - 6}" y="{top + 12}" text-anchor="end">{highest:.0f}</text>\n'
        f'<text x="{left - 6}" y="{top + height}" text-anchor="end">0</text>\n'
        f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=100_000, help="finished runs in the long log")
    parser.add_argument("--directory", type=Path, help="where the long log is kept; grown only if it is new")
    parser.add_argument("--plot", type=Path, default=Path(__file__).with_name("flat_cost.svg"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clawx-flat-") as temporary:
        directory = given.directory or Path(temporary)
        found: dict[str, Any] = {}
        if not (directory / "log").exists():
            steps = in_process(grow, directory, given.history)
            found["history"] = [step._asdict() for step in steps]
            given.plot.write_text(draw(steps))
        found |= compare(directory)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
