"""The `bubblewrap` driver: namespaces of its own, a read-only root with what is needed, a private /tmp, no network."""

import asyncio
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from services.factory.background import Background
from services.factory.drivers.control_groups import ControlGroups
from services.factory.drivers.launching import WORKER_PROGRAM, Launching
from services.factory.drivers.limits import (
    PROCESSES_MAX,
    Limit,
    describe_limits,
    resource_limits,
    tmp_mib,
    write_rlimits,
)
from services.factory.drivers.own_user import OwnUsers
from services.factory.drivers.port import WorkerPlan
from services.factory.drivers.surroundings import find_surroundings
from services.factory.drivers.way_out import WayOut, open_way_out
from services.factory.worker.confinement import Confinement
from services.factory.worker.system_calls import can_filter
from services.factory.worker_process import WorkerProcess
from services.records.content import Resources

BWRAP = "bwrap"

STARTS_MAX = 4
"""Workers that start at once: each is a Python of its own, and more would only make all of them late."""

_TRY_S = 10.0
_COUNTS_BY_NAMESPACE = (5, 14)
"""From this Linux on, processes of a user are counted for each user namespace too."""

_NAMESPACES = ("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try")
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ca-certificates",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "pki",
    "ssl",
    "timezone",
)


class BubblewrapDriver:
    """Starts workers inside bubblewrap, which the launcher starts. The only way to the network is a proxy."""

    def __init__(
        self,
        launching: Launching,
        start_timeout_ms: int,
        background: Background,
        users: OwnUsers,
        groups: ControlGroups,
    ) -> None:
        self._launching, self._start_timeout_ms, self._background = launching, start_timeout_ms, background
        self._users, self._groups = users, groups
        self._starts = asyncio.Semaphore(STARTS_MAX)

    def limits(self, resources: Resources) -> tuple[str, ...]:
        return describe_limits(self._limits(resources))

    def _limits(self, resources: Resources) -> list[Limit]:
        found = [
            Limit("files", "own"),
            Limit("processes", "own"),
            Limit("network", "none"),
            Limit("tmp_mib", tmp_mib(resources)),
            *self._groups.limits(resources),
            *resource_limits(resources, processes=self._users.are_there or counts_by_namespace()),
        ]
        if can_filter():
            found.append(Limit("system_calls", "filtered"))
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
        groups = self._groups.make(plan.worker_id, plan.resources)
        limits = self._limits(plan.resources)
        confinement = Confinement(
            user=user,
            rlimits=write_rlimits(limit for limit in limits if user or limit.layer != "pids"),
            groups=tuple(map(str, groups)),
            reach=self._users.reach(plan.directory) if user else (),
            program=tuple(self._command(plan, way_out, counts=not user and counts_by_namespace())),
            files=_write_accounts(user or os.getuid(), user or os.getgid(), plan.directory),
        )
        limits = [*way_out.limits, *([Limit("user", user)] if user else []), *limits]
        worker = WorkerProcess(plan, self._launching, confinement, describe_limits(limits), self._background)

        def clear(_: object) -> None:
            self._users.release(user)
            self._background.start(asyncio.to_thread(self._groups.remove, groups))

        worker.gone.add_done_callback(clear)
        worker.gone.add_done_callback(way_out.close)
        return worker

    def _command(self, plan: WorkerPlan, way_out: WayOut, *, counts: bool) -> Iterator[str]:
        yield from write_command(plan.directory, plan.resources, counts=counts)
        yield from way_out.arguments

    async def close(self) -> None:
        await self._launching.close()


def find_absence() -> str:
    """Why there is no bubblewrap here, or why it does not work; empty if it does."""
    if not shutil.which(BWRAP):
        return "bwrap is not there (on Debian: apt install bubblewrap)"
    command = [BWRAP, *_NAMESPACES, "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TRY_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not work: {error}"
    words = done.stderr.decode(errors="replace").strip()
    return f"bwrap does not work: {words or done.returncode}" if done.returncode else ""


def counts_by_namespace() -> bool:
    """Whether a limit on processes set inside counts those inside only."""
    numbers = [int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdecimal()]
    return tuple(numbers) >= _COUNTS_BY_NAMESPACE


def _write_accounts(user: int, group: int, home: Path) -> Mapping[str, str]:
    """The user and group files that are seen inside."""
    return {
        "passwd": f"root:x:0:0::/:/bin/false\nworker:x:{user}:{group}::{home}:/bin/sh\n",
        "group": f"root:x:0:\nworker:x:{group}:\n",
    }


def write_command(directory: Path, resources: Resources, *, counts: bool) -> Iterator[str]:
    """The command line of bubblewrap; later parts are laid over earlier ones."""
    size = str(tmp_mib(resources) * 1024 * 1024)
    yield from (BWRAP, *_NAMESPACES, "--unshare-net", "--hostname", "worker", "--die-with-parent")
    yield from _mounts_of_system()
    yield from ("--proc", "/proc", "--dev", "/dev")
    for place in ("/tmp", "/dev/shm"):
        yield from ("--size", size, "--perms", "1777", "--tmpfs", place)
    for name in ("passwd", "group"):
        yield from ("--ro-bind-data", f"{{{name}}}", f"/etc/{name}")
    for place in map(str, find_surroundings()):
        if not place.startswith("/usr/"):
            yield from ("--ro-bind", place, place)
    yield from ("--bind", str(directory), str(directory), "--chdir", str(directory))
    yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--")
    processes = PROCESSES_MAX if counts else 0
    yield from (sys.executable, "-I", "-S", "-E", str(WORKER_PROGRAM), "worker", "{FD}", str(processes))


def _mounts_of_system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr", "--ro-bind-try", "/opt", "/opt")
    for place in (Path("/", name) for name in _TOP):
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), str(place))
        elif place.is_dir():
            yield from ("--ro-bind", str(place), str(place))
    for place in (Path("/etc", name) for name in _ETC):
        yield from ("--ro-bind-try", str(place), str(place))
