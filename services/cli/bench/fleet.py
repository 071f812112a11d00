"""The system under measurement: embedded in this process, or each service as a process of its own on Kafka."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bus.address import open_log
from bus.blobs import DirectoryBlobs
from bus.channel import Partition
from bus.codec import Codec
from bus.log import Log
from bus.reader import START, Place
from services.cli.failure import Failed
from services.records import language_codec
from services.settings import Settings
from services.topology import SERVICES

if TYPE_CHECKING:
    from services.system import System

START_S_MAX = 60


@dataclass(slots=True, kw_only=True)
class Fleet:
    """A system that decides, the log below it, and what its processes have used."""

    log: Log
    codec: Codec  # writes as the log's registry says, if it has one
    blobs: DirectoryBlobs
    namespace: str
    children: list[psutil.Process] = field(default_factory=list)
    system: System | None = None  # the embedded one

    def places(self, channel: str) -> dict[Partition, Place]:
        """Where to begin to read what a load will cause: where the embedded system stands, since its log may be long,
        or the start of a fresh namespace."""
        if self.system is not None:
            return self.system.places(channel)
        return {Partition(channel, number): START for number in range(self.log.partitions)}

    def cpu_s(self) -> float:
        """CPU seconds of all services so far; the embedded system counts this process, and with it the load itself."""
        processes = self.children or [psutil.Process()]
        return sum(_cpu_s(process) for process in processes)


def _cpu_s(process: psutil.Process) -> float:
    used = 0.0
    for each in (process, *process.children(recursive=True)):
        times = each.cpu_times()
        used += times.user + times.system
    return used


@asynccontextmanager
async def fleet(bus: str, **more: object) -> AsyncIterator[Fleet]:
    """Start every service on a fresh namespace of this log, and end them all on leaving; `more` are settings."""
    namespace = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="clawx-bench-") as directory:
        settings = Settings.read(os.environ, data=Path(directory), namespace=namespace, node=namespace, **more)
        if bus.startswith("kafka:"):
            async with _processes(replace(settings, bus=bus)) as found:
                yield found
        else:
            path = bus or f"sqlite:///{directory}/log"
            async with embedded(replace(settings, bus=path)) as found:
                yield found


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Fleet]:
    """Start every service in this process."""
    from services.system import hosted

    async with hosted(settings) as system:
        await system.decides()
        yield Fleet(log=system.log, codec=system.codec, blobs=system.blobs, namespace=settings.namespace, system=system)


@asynccontextmanager
async def _processes(settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        codec = language_codec()
        log = await open_log(
            settings.bus_url,
            access=settings.access(),
            codec=codec,
            namespace=settings.namespace,
            partitions=settings.partitions,
        )
        stack.push_async_callback(log.close)
        children = []
        for service in SERVICES:
            process = await _start(settings, service)
            stack.push_async_callback(_stop, process)
            children.append(process)
        await asyncio.gather(*(_wait_until_it_decides(process) for process in children))
        yield Fleet(
            log=log,
            codec=codec,
            blobs=DirectoryBlobs(settings.blob_directory),
            namespace=settings.namespace,
            children=[psutil.Process(process.pid) for process in children],
        )


async def _start(settings: Settings, service: str) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "CLAWX_NAMESPACE": settings.namespace,
        "CLAWX_NODE": settings.node,
        "CLAWX_DATA": str(settings.data),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli.main",
        "service",
        service,
        "--bus",
        settings.bus_url,
        "--json",
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )


async def _wait_until_it_decides(process: asyncio.subprocess.Process) -> None:
    """A service prints one line once it owns its partitions."""
    assert process.stdout is not None
    async with asyncio.timeout(START_S_MAX):
        if not await process.stdout.readline():
            raise Failed(f"a service ended with exit code {await process.wait()} before it decided")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        await process.wait()
