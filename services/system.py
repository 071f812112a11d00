"""The wiring: the services of one process over one log. Deciders are the same whether all share a process or none
does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from bus.address import join_group, open_log
from bus.blobs import DirectoryBlobs
from bus.channel import Partition
from bus.client import LogBus
from bus.clock import SystemClock
from bus.codec import Codec
from bus.decider import Role
from bus.errors import LogFull, Refused
from bus.log import Log
from bus.reader import Place
from bus.runtime import Runtime
from bus.snapshot import DirectorySnapshots
from services.definitions.profession import HOST_PATTERN
from services.factory.node import Node, NodeSettings
from services.health.hook import Hook, read_hooks
from services.health.monitor import Monitor, MonitorSettings
from services.namespace import check_namespace
from services.records import language_codec
from services.records.content import Resources
from services.settings import Settings
from services.topology import EMBEDDED, HOMES, SERVICES, roles_of

logger = logging.getLogger(__name__)

DISK_BYTES_MIN = 16 * 2**20
"""With less room than this left on the disk nothing is started."""

YOUNG_OBJECTS = 100_000
"""Objects made before the collector of cycles looks at the young ones. States are trees of immutable values, records
are plain values: almost nothing here is ever part of a cycle, and looking every 700 objects took 15 % of a service."""

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from another. The writer of an embedded log waits for it at every commit;
with the default of 5 ms a busy loop costs a third of the throughput."""


class System:
    """What one process hosts. Made by `hosted`."""

    def __init__(self, settings: Settings, log: Log, codec: Codec, blobs: DirectoryBlobs) -> None:
        self.settings, self.log, self.codec, self.blobs = settings, log, codec, blobs
        self.clock = SystemClock()
        self.bus = LogBus(log, codec, blobs, self.clock)
        self.node: Node | None = None
        self._runtimes: list[Runtime] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def decides(self) -> None:
        """Wait until every role hosted here owns its partitions and has heard its inputs."""
        for runtime in self._runtimes:
            await runtime.decides()

    @property
    def halted(self) -> dict[str, str]:
        """Roles that stopped for good, and why."""
        return {name: why for runtime in self._runtimes for name, why in runtime.halted.items()}

    def places(self, channel: str) -> dict[Partition, Place]:
        """Where the roles of an embedded system stand on a channel that they hear."""
        (runtime,) = self._runtimes
        partitions = [Partition(channel, number) for number in range(self.log.partitions)]
        return {partition: runtime.place(partition) for partition in partitions}

    async def failed(self) -> str:
        """Wait until a part of this process ends by itself, which none should; a sentence that names it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        task = done.pop()
        error = task.exception() if not task.cancelled() else None
        return f"{task.get_name()} ended: {error or 'without an error'}"

    # Parts; each is put on the stack that ends them in reverse.

    async def host_roles(self, stack: AsyncExitStack, service: str, roles: Sequence[Role[Any]]) -> None:
        """Host these roles on the partitions that the service's group gives to this process."""
        runtime = Runtime(
            log=self.log,
            codec=self.codec,
            blobs=self.blobs,
            clock=self.clock,
            roles=roles,
            homes=HOMES,
            snapshots=DirectorySnapshots(self.settings.blob_directory / "snapshots" / self.log.namespace),
        )
        stack.push_async_callback(runtime.close)
        assignment = await join_group(self.log, service)
        task = self._start(service, runtime.run(assignment))
        self._runtimes.append(runtime)

        async def hand_over() -> None:
            await assignment.close()
            await _ended(task)

        stack.push_async_callback(hand_over)

    async def host_node(self, stack: AsyncExitStack, driver_names: tuple[str, ...] | None = None) -> None:
        """Supervise workers on this host."""
        settings = self.settings
        directory = settings.data / "nodes" / settings.node
        directory.mkdir(parents=True, exist_ok=True)
        has = machine(settings)
        node_settings = NodeSettings(
            node_id=settings.node,
            directory=directory,
            capacity=promised(has, settings),
            solid=has,
            pool=settings.pool,
            required_limits=_split(settings.required_limits),
            own_users=bool(settings.own_users),
            docker_image=settings.docker_image,
            secrets=_split(settings.secrets),
            hosts=_read_hosts(settings.worker_hosts),
            model_url=settings.model_url,
        )
        self.node = node = Node(self.log, self.codec, self.blobs, self.clock, node_settings)
        self._serve(stack, "node", node.run, node.close)

    async def host_monitor(self, stack: AsyncExitStack) -> None:
        """Watch the leases of instances and nodes."""
        monitor = Monitor(self.log, self.codec, self.clock, MonitorSettings())
        self._serve(stack, "monitor", monitor.run, monitor.close)

    async def host_webhook(self, stack: AsyncExitStack, hook: Hook) -> None:
        """Deliver alarms."""
        from services.health.webhooks import Webhook

        webhook = Webhook(self.log, self.codec, self.clock, hook, self.settings.data / "webhooks")
        self._serve(stack, f"webhook {hook.origin}", webhook.run, webhook.close)

    def _serve(
        self,
        stack: AsyncExitStack,
        name: str,
        run: Callable[[], Coroutine[Any, Any, None]],
        close: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        stack.push_async_callback(close)
        task = self._start(name, run())

        async def stop() -> None:
            task.cancel()
            await _ended(task)

        stack.push_async_callback(stop)

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        return task


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for a task that was told to end; what it failed with is told by whoever waits for `failed`."""
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


@asynccontextmanager
async def hosted(settings: Settings, services: Sequence[str] = SERVICES, *, node: bool = True) -> AsyncIterator[System]:
    """Host these services (and, with `factory`, a node) until left, then hand over in order."""
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    sys.setswitchinterval(SWITCH_S)
    async with AsyncExitStack() as stack:
        require_room(settings.data)
        hooks = read_hooks(settings.webhooks, settings.webhook_secret_file) if "health" in services else ()
        codec = language_codec()
        log = await open_log(
            settings.bus_url,
            access=settings.access(),
            codec=codec,
            namespace=settings.namespace,
            partitions=settings.partitions,
        )
        stack.push_async_callback(log.close)
        await check_namespace(log, codec)
        settings.data.mkdir(parents=True, exist_ok=True)
        system = System(settings, log, codec, DirectoryBlobs(settings.blob_directory))
        stack.push_async_callback(system.bus.close)
        if "health" in services:
            await system.host_monitor(stack)
        for hook in hooks:
            await system.host_webhook(stack, hook)
        if settings.is_embedded:
            codec.share_peeks()
            hosts = EMBEDDED if set(services) == set(SERVICES) else services
            roles = [role for service in hosts for role in roles_of(service)]
            await system.host_roles(stack, "embedded", roles)
        else:
            for service in services:
                if own := roles_of(service):
                    await system.host_roles(stack, service, own)
        if "node" in services or ("factory" in services and node):
            await system.host_node(stack)
        yield system


def _split(names: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(filter(None, map(str.strip, names.split(","))))


def _read_hosts(text: str) -> tuple[str, ...]:
    """Raises Refused for one that is no NAME:PORT."""
    hosts = _split(text)
    if wrong := [host for host in hosts if not re.fullmatch(HOST_PATTERN, host)]:
        raise Refused(f"CLAWX_WORKER_HOSTS must hold NAME:PORT, such as api.example.com:443, found {wrong[0]!r}")
    return hosts


def require_room(directory: Path) -> None:
    """Raises LogFull where a system would come to a halt before its first record; nothing was written then."""
    place = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < DISK_BYTES_MIN:
        raise LogFull(
            f"the disk below {directory} has {free // 1024} KiB left, and no system starts with less than "
            f"{DISK_BYTES_MIN // 1024} KiB: make room, or give another place with --data"
        )


def machine(settings: Settings) -> Resources:
    """What this host has."""
    return Resources(
        cpu_millis=(psutil.cpu_count() or 1) * 1000,
        memory_mib=psutil.virtual_memory().total // 2**20,
        storage_mib=shutil.disk_usage(settings.data).free // 2**20,
        gpus=settings.gpus,
        api_calls_per_minute=100_000,
        slots=10_000,
    )


def promised(has: Resources, settings: Settings) -> Resources:
    """What this host offers, most of it more than once: CPU is compressible, idle memory shared, quotas rarely used."""
    return has.model_copy(
        update={
            "cpu_millis": has.cpu_millis * settings.cpu_overcommit,
            "memory_mib": has.memory_mib * settings.memory_overcommit,
            "storage_mib": has.storage_mib * settings.storage_overcommit,
        }
    )
