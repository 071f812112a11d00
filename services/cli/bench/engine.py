"""`clawx bench engine`: how many stages a second, how soon, and for how much CPU."""

from __future__ import annotations

from typing import Any

from services.cli.bench.fleet import fleet
from services.cli.bench.load import Load

STAGES = 3
WARM_UP_RUNS = 50


async def bench_engine(
    bus: str, runs: int, concurrency: int, workspaces: int, agent: str, when: bool
) -> dict[str, Any]:
    """Run so many three-stage runs and give `runs_per_s`, `stages_per_s`, `p50_ms`, `p99_ms`, `cpu_us_per_stage`."""
    async with fleet(bus) as system:
        load = Load(fleet=system, workspaces=workspaces, concurrency=concurrency, agent=agent, has_conditions=when)
        await load.prepare()
        await load.run(min(WARM_UP_RUNS, runs))
        load.latencies_s.clear()
        before_s = system.cpu_s()
        seconds = await load.run(runs)
        used_s = system.cpu_s() - before_s
        await load.close()
        return {
            "runs_per_s": round(runs / seconds, 1),
            "stages_per_s": round(runs * STAGES / seconds, 1),
            "p50_ms": quantile_ms(load.latencies_s, 0.50),
            "p99_ms": quantile_ms(load.latencies_s, 0.99),
            "cpu_us_per_stage": round(used_s / (runs * STAGES) * 1e6, 1),
            "namespace": system.namespace,
        }


def quantile_ms(seconds: list[float], share: float) -> float:
    """Milliseconds that this share of them took at most."""
    ordered = sorted(seconds)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
