"""A system that has nothing to do writes nothing: no state channel moves, however long it idles."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bus.channel import STATE_CHANNELS, Partition
from services.definitions.workflow import read_workflow
from services.records import language_codec
from services.records.task import RunEnded, RunRequested
from services.settings import Settings
from services.system import System, hosted
from tests.bus.bank_runtime import heard
from tests.eventually import eventually

FLOW = b"id: tiny\nstages: [{id: only, kind: end, end: {status: completed}}]\n"


async def ends(system: System) -> dict[Partition, int]:
    """Where each state channel ends."""
    every = [Partition(channel, number) for channel in STATE_CHANNELS for number in range(system.log.partitions)]
    return await system.log.ends(every)


async def rest(system: System, seconds: float) -> dict[Partition, int]:
    """Wait until so much time has passed in which nothing was written."""
    loop = asyncio.get_running_loop()
    last, since = await ends(system), loop.time()

    async def is_quiet() -> bool:
        nonlocal last, since
        if (now := await ends(system)) != last:
            last, since = now, loop.time()
        return loop.time() - since >= seconds

    await eventually(is_quiet, 60 + 3 * seconds, f"{seconds} s without a record")
    return last


async def run_one(system: System) -> None:
    """A run from its ask to its end."""
    flow = read_workflow(FLOW, "tiny.yaml").workflow
    await system.blobs.put(flow.to_json())
    await system.bus.publish(RunRequested(workspace_id="default", workflow_id=flow.id, definition=flow.digest()))
    await heard(system.log, language_codec(), RunEnded, 1)


async def test_after_its_work_a_system_comes_to_rest(tmp_path: Path) -> None:
    async with hosted(Settings(data=tmp_path / "data", partitions=2), node=False) as system:
        await system.decides()
        await run_one(system)
        assert sum((await rest(system, 5)).values()) > 0


@pytest.mark.soak
async def test_a_system_with_a_node_writes_nothing_for_a_minute(tmp_path: Path) -> None:
    async with hosted(Settings(data=tmp_path / "data", partitions=2)) as system:
        await system.decides()
        await run_one(system)
        before = await rest(system, 5)
        assert await rest(system, 60) == before
