"""`clawx bench replay`: how fast a stored log is folded, and decided again, by one core."""

from __future__ import annotations

import time
from typing import Any

from bus.blob_cache import BlobReader
from bus.channel import Partition
from bus.codec import Codec
from bus.home_fold import HomeFold, chunks_until
from bus.log import Log
from services.audit.rehearsal import Rehearsal, Scope
from services.cli.bench.fleet import fleet
from services.cli.bench.load import Load
from services.topology import HOMES, ROLES

WORKSPACES = 32


async def bench_replay(runs: int) -> dict[str, Any]:
    """Record so many three-stage runs on a log of their own and measure on it."""
    async with fleet("") as system:
        load = Load(fleet=system, workspaces=WORKSPACES, concurrency=256, agent="inline")
        await load.prepare()
        await load.run(runs)
        await load.close()
        return await measure_replay(system.log, system.codec, system.blobs)


async def measure_replay(log: Log, codec: Codec, blobs: BlobReader) -> dict[str, Any]:
    """Figures of one pass over a log, in CPU time of this process, so that what else runs here counts for less.

    `records_per_s` are records that the folds of all roles passed over, their own facts and everybody else's;
    `facts_per_s` the facts that they folded meanwhile.
    """
    await _read_all(log)  # from here on it is warm
    records, fold_s = await _fold_all(log, codec)
    began = time.process_time()
    rehearsal = Rehearsal(log, codec, blobs, HOMES)
    scope = Scope(roles=ROLES, numbers=range(log.partitions))
    differences = [each async for each in rehearsal.run(scope)]
    replay_s, outcome = time.process_time() - began, rehearsal.outcome
    return {
        "records_per_s": round(records / fold_s),
        "facts_per_s": round(outcome.facts / fold_s),
        "decisions_per_s": round(outcome.decisions / replay_s),
        "records": records,
        "facts": outcome.facts,
        "decisions": outcome.decisions,
        "differences": len(differences),
    }


async def _read_all(log: Log) -> None:
    for role in ROLES:
        for number in range(log.partitions):
            home = Partition(role.home, number)
            async for _ in chunks_until(log, home, 0, (await log.ends([home]))[home]):
                pass


async def _fold_all(log: Log, codec: Codec) -> tuple[int, float]:
    """Records passed over, and the seconds that it took."""
    records, began = 0, time.process_time()
    for role in ROLES:
        for number in range(log.partitions):
            home = Partition(role.home, number)
            end = (await log.ends([home]))[home]
            await HomeFold(role, home, codec, log.partitions).read(log, end)
            records += end
    return records, time.process_time() - began
