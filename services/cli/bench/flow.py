"""`clawx bench flow`: what a stage costs in a short run and in a very long one, by the shape of the workflow."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from bus.channel import Partition, partition_number
from bus.client import LogBus
from bus.reader import START, FencedReader
from services.cli.bench.fleet import Fleet, fleet
from services.cli.contents import keep_content
from services.cli.failure import Failed
from services.definitions.workflow import read_workflow
from services.records.content import Content, Resources
from services.records.event import InstanceEnded, InstanceReady, InstanceRefused, InstanceRequested
from services.records.task import RunEnded, RunRefused, RunRequested, run_id_of

SMALL, LARGE = 100, 10_000
"""Stages of the two runs that are compared."""

WORKSPACE, PROFESSION, SLOTS = "w", "qa_engineer", 64
READY_S_MAX, RUN_S_MAX = 120, 1800
SMALL_RUNS = 20
"""Short runs that are measured for a long one; the figure is their median."""

Stages = Iterator[dict[str, Any]]


def _task(name: str, **more: object) -> dict[str, Any]:
    return {"id": name, "profession": PROFESSION, "agent": "script", **more}


def chain(count: int) -> Stages:
    """One after the other."""
    for number in range(count):
        yield _task(f"s{number}", next=[f"s{number + 1}"] if number + 1 < count else [])


def fan(count: int) -> Stages:
    """One, then all but two at once, then one that waits for all of them."""
    inner = [f"s{number}" for number in range(count - 2)]
    yield _task("first", next=inner)
    yield from (_task(name, next=["last"]) for name in inner)
    yield _task("last", join="all")


def ladder(count: int) -> Stages:
    """Pairs at once, each pair waiting for the one before: as many joins and splits as there can be."""
    for number in range(count):
        rung = number // 2
        above = [f"s{n}" for n in (2 * rung + 2, 2 * rung + 3) if n < count]
        yield _task(f"s{number}", next=above)


def items(count: int) -> Stages:
    """One stage for each item of a list, and all that they give collected."""
    yield _task("each", map={"over": "list", "collect": "results"}, input=["list"])


SHAPES: dict[str, Callable[[int], Stages]] = {"chain": chain, "fan": fan, "ladder": ladder, "map": items}


async def bench_flow(shapes: list[str], large: int = LARGE) -> dict[str, Any]:
    """CPU microseconds of the whole system for each stage, in runs of 100 and of `large`, and how many times more the
    long ones cost."""
    async with fleet("") as system:
        bench = await _Bench.prepare(system)
        found = {}
        for shape in shapes:
            await bench.cost_us(shape, SMALL)
            small = [await bench.cost_us(shape, SMALL) for _ in range(SMALL_RUNS // 2)]
            big = await bench.cost_us(shape, large)
            small += [await bench.cost_us(shape, SMALL) for _ in range(SMALL_RUNS // 2)]
            usual = median(small)
            found[shape] = {
                f"cpu_us_per_stage_of_{SMALL}": round(usual),
                f"cpu_us_per_stage_of_{large}": round(big),
                "factor": round(big / usual, 2),
            }
        await bench.reader.close()
        return found


@dataclass(slots=True, kw_only=True)
class _Bench:
    """A system with an instance that works inline, and a reader that hears the ends of runs."""

    system: Fleet
    bus: LogBus
    reader: FencedReader

    @classmethod
    async def prepare(cls, system: Fleet) -> _Bench:
        bus = LogBus(system.log, system.codec, system.blobs)
        ask = InstanceRequested(
            workspace_id=WORKSPACE,
            profession=PROFESSION,
            agent="script",
            driver="inline",
            resources=Resources(cpu_millis=1, memory_mib=1, slots=SLOTS),
        )
        await bus.publish(ask)
        async with asyncio.timeout(READY_S_MAX):
            async for envelope in bus.subscribe("event", [InstanceReady, InstanceRefused, InstanceEnded]):
                if not isinstance(envelope.record, InstanceReady):
                    raise Failed(f"the instance could not be made: {envelope.record.reason}")
                break
        number = partition_number(WORKSPACE, system.log.partitions)
        places = {Partition("task", number): START}
        reader = await FencedReader.open(system.log, system.codec, places, (RunEnded, RunRefused))
        return cls(system=system, bus=bus, reader=reader)

    async def cost_us(self, shape: str, count: int) -> float:
        """CPU microseconds of a stage in one run of so many; its definition is new to the system."""
        name = f"{shape}-{secrets.token_hex(4)}"
        text = json.dumps({"id": name, "stages": list(SHAPES[shape](count)), "inputs": {"list": {"required": False}}})
        definition = await self.bus.blobs.put(read_workflow(text.encode(), name).workflow.to_json())
        inputs: tuple[Content, ...] = ()
        if shape == "map":
            data = json.dumps(list(range(count))).encode()
            inputs = (await keep_content(self.bus.blobs, "list", data, "application/json"),)
        ask_id = secrets.token_hex(12)
        began = time.process_time()
        ask = RunRequested(workspace_id=WORKSPACE, workflow_id=name, definition=definition, inputs=inputs)
        await self.bus.publish(ask, record_id=ask_id)
        async with asyncio.timeout(RUN_S_MAX):
            await self._end_of(run_id_of(ask_id))
        return (time.process_time() - began) / count * 1e6

    async def _end_of(self, run_id: str) -> None:
        while True:
            for envelope in await self.reader.read():
                record = envelope.record
                if record.run_id == run_id:
                    if isinstance(record, RunRefused) or record.status != "completed":
                        raise Failed(f"run {run_id} did not complete: {record.reason}")
                    return
