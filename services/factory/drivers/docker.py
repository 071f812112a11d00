"""The `docker` driver: a container without capabilities, without a network, with a read-only root and limits."""

import asyncio
import hashlib
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from services.factory.background import Background
from services.factory.drivers.launching import WORKER_PROGRAM, Launching
from services.factory.drivers.limits import (
    MEMORY_MIB_MIN,
    OPEN_FILES_MAX,
    PROCESSES_MAX,
    Limit,
    describe_limits,
    tmp_mib,
)
from services.factory.drivers.own_user import OwnUsers
from services.factory.drivers.port import WorkerPlan
from services.factory.drivers.surroundings import SERVICES
from services.factory.drivers.way_out import WayOut, open_way_out
from services.factory.worker.confinement import Confinement
from services.factory.worker_process import WorkerProcess
from services.records.content import Resources

logger = logging.getLogger(__name__)

DOCKER = "docker"

STARTS_MAX = 4
"""Containers that start at once."""

CPU_MILLIS_MIN = 10
_ANSWER_S = 10.0
_MIB = 1024 * 1024


class DockerDriver:
    """Starts workers in containers of one image, which has a Python of our age as `python3`. The container is a child
    of the engine, not of the launcher: the launcher has the client that its streams go through."""

    def __init__(
        self,
        launching: Launching,
        start_timeout_ms: int,
        background: Background,
        users: OwnUsers,
        image: str,
        node_directory: Path,
    ) -> None:
        self._launching, self._start_timeout_ms, self._background = launching, start_timeout_ms, background
        self._users, self._image = users, image
        self._starts = asyncio.Semaphore(STARTS_MAX)
        self._label = f"clawx.node={hashlib.sha256(os.fsencode(node_directory)).hexdigest()[:16]}"

    def limits(self, resources: Resources) -> tuple[str, ...]:
        return describe_limits(self._limits(resources))

    def _limits(self, resources: Resources) -> list[Limit]:
        found = [
            Limit("files", "own"),
            Limit("processes", "own"),
            Limit("network", "none"),
            Limit("system_calls", "filtered"),
            Limit("pids", PROCESSES_MAX),
            Limit("tmp_mib", tmp_mib(resources)),
            Limit("open_files", OPEN_FILES_MAX),
            Limit("core_bytes", 0),
        ]
        if resources.memory_mib:
            found.append(Limit("memory_mib", max(resources.memory_mib, MEMORY_MIB_MIN)))
        if resources.cpu_millis:
            found.append(Limit("cpu_millis", max(resources.cpu_millis, CPU_MILLIS_MIN)))
        if resources.storage_mib:
            found.append(Limit("file_mib", resources.storage_mib))
        if self._users.are_there:
            found.append(Limit("user", "own"))
        return found

    async def start(self, plan: WorkerPlan) -> WorkerProcess:
        async with open_way_out(plan, self._background) as way_out:
            worker = self._make(plan, way_out)
            async with self._starts:
                await worker.start(self._start_timeout_ms)
        return worker

    def _make(self, plan: WorkerPlan, way_out: WayOut) -> WorkerProcess:
        user = self._users.take(plan.directory)
        limits = self._limits(plan.resources)
        name = f"clawx-{hashlib.sha256(plan.worker_id.encode()).hexdigest()[:24]}"
        confinement = Confinement(program=(*self._command(name, plan, user, limits), *way_out.arguments), streams=True)
        limits = [*way_out.limits, *([Limit("user", user)] if user else []), *limits]
        said = describe_limits(limits)
        worker = ContainedWorker(name, plan, self._launching, confinement, said, self._background)
        worker.gone.add_done_callback(lambda _: self._users.release(user))
        worker.gone.add_done_callback(way_out.close)
        return worker

    def _command(self, name: str, plan: WorkerPlan, user: int, limits: list[Limit]) -> Iterator[str]:
        values = {limit.layer: limit.value for limit in limits}
        directory = str(plan.directory)
        tmp = f"rw,nosuid,nodev,size={int(values['tmp_mib']) * _MIB},mode=1777"
        yield from (*client(), "run", "--rm", "--interactive", "--init", "--name", name, "--label", self._label)
        yield from ("--pull", "never", "--network", "none", "--ipc", "private", "--hostname", "worker", "--read-only")
        yield from ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--log-driver", "none")
        yield from ("--user", f"{user or os.getuid()}:{user or os.getgid()}", "--tmpfs", f"/tmp:{tmp}")
        yield from ("--shm-size", f"{values['tmp_mib']}m", "--pids-limit", str(values["pids"]))
        if "memory_mib" in values:
            yield from ("--memory", f"{values['memory_mib']}m", "--memory-swap", f"{values['memory_mib']}m")
        if "cpu_millis" in values:
            yield from ("--cpus", f"{int(values['cpu_millis']) / 1000:.3f}")
        if "file_mib" in values:
            yield from ("--ulimit", f"fsize={int(values['file_mib']) * _MIB}")
        yield from ("--ulimit", "core=0", "--ulimit", f"nofile={OPEN_FILES_MAX}")
        yield from ("--volume", f"{directory}:{directory}", "--volume", f"{SERVICES}:{SERVICES}:ro")
        yield from ("--workdir", directory, self._image)
        yield from ("python3", "-I", "-S", "-E", "-B", str(WORKER_PROGRAM), "worker", "streams", "0")

    def remove_all(self) -> None:
        """Remove the containers that an earlier life of the node left."""
        found = _docker("ps", "--all", "--quiet", "--filter", f"label={self._label}").stdout.split()
        if found:
            _docker("rm", "--force", "--volumes", *found)

    async def close(self) -> None:
        await self._launching.close()


class ContainedWorker(WorkerProcess):
    """A worker whose end is that of its container."""

    def __init__(
        self,
        name: str,
        plan: WorkerPlan,
        launching: Launching,
        confinement: Confinement,
        limits: tuple[str, ...],
        background: Background,
    ) -> None:
        super().__init__(plan, launching, confinement, limits, background)
        self._name, self._background_of_container = name, background

    def _end(self, ended: "asyncio.Future[str]") -> None:
        """The client is gone; the container may still be there."""
        self._background_of_container.start(self._remove(ended))

    async def _remove(self, ended: "asyncio.Future[str]") -> None:
        await asyncio.to_thread(_docker, "rm", "--force", "--volumes", self._name)
        super()._end(ended)


def find_absence(image: str) -> str:
    """Why no container can be started here; empty if one can."""
    if not image:
        return "no image is named for it (CLAWX_DOCKER_IMAGE)"
    if not shutil.which(DOCKER):
        return "docker is not there"
    try:
        engine = _docker("version", "--format", "{{.Server.Version}}")
        if engine.returncode:
            return f"no engine answers: {engine.stderr.strip()[:200]}"
        if _docker("image", "inspect", image).returncode:
            return f"the image {image} is not there; pull it first"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"docker does not work: {error}"
    return ""


def client() -> tuple[str, ...]:
    """The command, told which engine this process uses; the launcher's environment says nothing of it."""
    host = os.environ.get("DOCKER_HOST", "")
    return (DOCKER, "--host", host) if host else (DOCKER,)


def _docker(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*client(), *arguments], capture_output=True, text=True, timeout=_ANSWER_S, check=False)
