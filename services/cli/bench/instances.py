"""`clawx bench instances`: how soon an instance is ready, how many at once, how surely, and what idle ones weigh."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from bus.channel import Partition
from bus.clock import SystemClock
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Envelope, derive_id
from services.cli.bench.fleet import Fleet, fleet
from services.cli.failure import Failed
from services.records.content import Resources
from services.records.instance import (
    InstanceAccepted,
    InstanceDestroyRequested,
    InstanceEnded,
    InstanceReady,
    InstanceRefused,
    InstanceRequested,
)

AT_ONCE = 20
IDLE = 100
CREATE_S_MAX = 60.0
WARM_UP = 5

QUOTA = Resources(cpu_millis=500, memory_mib=64, storage_mib=16, slots=1)
"""Drivers that limit the processor limit the start of a worker too."""

CPU_OVERCOMMIT = 64
"""How often the node of this bench promises each of its cores: idle instances use none."""


async def bench_instances(creations: int, driver: str) -> dict[str, Any]:
    """Make so many instances one after the other, then twenty at once, then a hundred that do nothing; each is counted
    from the asking to the fact that it is ready."""
    async with fleet("", cpu_overcommit=CPU_OVERCOMMIT) as system, _crew(system, driver) as crew:
        for _ in range(WARM_UP):
            await crew.destroy(await crew.create())
        seconds = [await _create_one(crew) for _ in range(creations)]
        made = sorted(each for each in seconds if each is not None)
        twenty_s, twenty = await _create_many(crew, AT_ONCE)
        idle: list[str] = []
        for _ in range(IDLE // AT_ONCE - 1):
            idle += (await _create_many(crew, AT_ONCE))[1]
        return {
            "create_p50_ms": _quantile_ms(made, 0.50),
            "create_p99_ms": _quantile_ms(made, 0.99),
            "twenty_ready_s": round(twenty_s, 3),
            "created": creations + IDLE,
            "succeeded": len(made) + len(twenty) + len(idle),
            "idle_100_mib": _memory_mib(),
        }


async def _create_one(crew: Crew) -> float | None:
    started = time.perf_counter()
    try:
        instance_id = await crew.create()
    except Failed:
        return None
    seconds = time.perf_counter() - started
    await crew.destroy(instance_id)
    return seconds


async def _create_many(crew: Crew, count: int) -> tuple[float, list[str]]:
    """Seconds until the last one is ready, and those that are."""
    started = time.perf_counter()
    made = await asyncio.gather(*(crew.create() for _ in range(count)), return_exceptions=True)
    unforeseen = [each for each in made if isinstance(each, BaseException) and not isinstance(each, Failed)]
    if unforeseen:
        raise unforeseen[0]
    return time.perf_counter() - started, [each for each in made if isinstance(each, str)]


def _quantile_ms(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2) if ordered else None


def _memory_mib() -> int:
    """What this process, which hosts everything, and all below it hold; pages that are shared count once."""
    own = psutil.Process()
    return sum(_held_bytes(each) for each in (own, *own.children(recursive=True))) // 2**20


def _held_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@dataclass(kw_only=True)
class Crew:
    """Asks for instances and hears what becomes of them."""

    publisher: Publisher
    driver: str
    workspace: str = "bench"
    ready: dict[str, asyncio.Future[str]] = field(default_factory=dict)  # by the id of the ask
    ended: dict[str, asyncio.Event] = field(default_factory=dict)  # by instance
    asks: dict[str, str] = field(default_factory=dict)  # by instance

    async def create(self) -> str:
        """An instance that is ready; raises Failed when there is none."""
        ask_id = secrets.token_hex(8)
        ready = self.ready[ask_id] = asyncio.get_running_loop().create_future()
        ask = InstanceRequested(
            workspace_id=self.workspace,
            profession="software_developer",
            agent="script",
            driver=self.driver,
            resources=QUOTA,
        )
        await self.publisher.publish(ask, record_id=ask_id)
        try:
            return await asyncio.wait_for(ready, CREATE_S_MAX)
        except TimeoutError as error:
            raise Failed(f"no instance was ready within {CREATE_S_MAX:g} s") from error

    async def destroy(self, instance_id: str) -> None:
        """End it; returns when it has ended."""
        ended = self.ended[instance_id] = asyncio.Event()
        ask = InstanceDestroyRequested(workspace_id=self.workspace, instance_id=instance_id, force=True)
        await self.publisher.publish(ask, record_id=derive_id("bench", instance_id))
        await asyncio.wait_for(ended.wait(), CREATE_S_MAX)

    async def follow(self, reader: FencedReader) -> None:
        """Hear the facts until cancelled."""
        while True:
            for envelope in await reader.read():
                self._hear(envelope)

    def _hear(self, envelope: Envelope) -> None:
        match envelope.record:
            case InstanceAccepted() as accepted:
                self.asks[accepted.instance_id] = accepted.ask_id
            case InstanceReady() as ready:
                self._settle(self.asks.get(ready.instance_id, ""), ready.instance_id)
            case InstanceRefused() as refused:
                self._settle(refused.ask_id, Failed(refused.reason))
            case InstanceEnded() as over:
                self._settle(self.asks.get(over.instance_id, ""), Failed(over.reason))
                if ended := self.ended.get(over.instance_id):
                    ended.set()

    def _settle(self, ask_id: str, outcome: str | Failed) -> None:
        ready = self.ready.get(ask_id)
        if ready is None or ready.done():
            return
        if isinstance(outcome, str):
            ready.set_result(outcome)
        else:
            ready.set_exception(outcome)


@asynccontextmanager
async def _crew(system: Fleet, driver: str) -> AsyncIterator[Crew]:
    publisher = Publisher(system.log, system.codec, SystemClock())
    wanted = (InstanceAccepted, InstanceReady, InstanceRefused, InstanceEnded)
    places = {Partition("event", number): START for number in range(system.log.partitions)}
    reader = await FencedReader.open(system.log, system.codec, places, wanted)
    crew = Crew(publisher=publisher, driver=driver)
    following = asyncio.create_task(crew.follow(reader))
    try:
        yield crew
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await reader.close()
        await publisher.close()
