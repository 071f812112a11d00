"""The place where probes are tried: a node with two instances of one driver, and things of others to reach for."""

import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil

from services.factory.drivers.catalogue import APART, find_absences
from services.factory.drivers.control_groups import ControlGroups
from services.records.content import Resources
from services.records.instance import InstanceStarting
from services.records.node import WorkerStarted
from services.records.task import TaskCompleted
from tests.services.factory.drivers import probes
from tests.services.factory.world import World, artifact

IMAGE = os.environ.get("CLAWX_TEST_DOCKER_IMAGE", "")
"""Of the containers to test; it has a Python of our age, and the engine has it."""

ABSENT = find_absences(IMAGE)
WORKING = [name for name in APART if name not in ABSENT]
"""Drivers that work on this machine; `clawx doctor` says why others do not."""

PROGRAM = Path(probes.__file__).read_text()
RESOURCES = Resources(cpu_millis=500, memory_mib=512, storage_mib=16, slots=4)


class Place:
    """Where to try probes, with what they are given, and the limits that are said to be in force."""

    def __init__(self, world: World, driver: str) -> None:
        self.world, self.driver = world, driver
        self.given: dict[str, Any] = {}
        self.limits: tuple[str, ...] = ()
        self._order: InstanceStarting | None = None

    async def open(self, stack: ExitStack) -> None:
        self._order = await self._start("mine")
        await self._start("other")
        started = await self.world.first(WorkerStarted, instance_id="mine")
        self.limits = started.limits
        other = await self.world.first(WorkerStarted, instance_id="other")
        node = self.world.directory / "node-n1"
        digest = await self.world.blobs.put(b"blob")
        self.given = {
            "other_file": str(node / "instances" / "other.1" / "worker.log"),
            "node_file": str(next(place for place in node.iterdir() if place.is_file())),
            "log_file": str(next(place for place in self.world.directory.glob("log/**/*") if place.is_file())),
            "blob_file": str(self.world.blobs.path(digest)),
            "other_worker": other.pid,
            "node": os.getpid(),
            "launcher": psutil.Process(started.pid).ppid(),
            **stack.enter_context(outsiders()),
        }

    async def _start(self, instance_id: str) -> InstanceStarting:
        return await self.world.start(instance_id, agent="command", driver=self.driver, resources=RESOURCES)

    async def run(self, program: str, *arguments: str) -> TaskCompleted:
        """The end of an attempt at a Python program, which must succeed."""
        assert self._order
        parameters = python(self.driver, program, *arguments)
        assigned = await self.world.assign(self._order, parameters=parameters, inputs=(artifact("in", b"input"),))
        end = await self.world.end_of(assigned, timeout_s=120)
        assert isinstance(end, TaskCompleted), end
        return end

    async def try_probe(self, name: str) -> dict[str, Any]:
        end = await self.run(PROGRAM, name, json.dumps(self.given))
        found: dict[str, Any] = json.loads(end.result)
        return found


def python(driver: str, program: str, *arguments: str) -> dict[str, Any]:
    """Parameters of a command agent that runs a Python program where this driver puts it."""
    return {"command": ["python3" if driver == "docker" else sys.executable, "-I", "-c", program, *arguments]}


@asynccontextmanager
async def place(driver: str, directory: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(World.open(directory))
        await stack.enter_async_context(world.node(docker_image=IMAGE))
        found = Place(world, driver)
        await found.open(stack.enter_context(ExitStack()))
        yield found


@contextmanager
def outsiders() -> Iterator[dict[str, Any]]:
    """Things of this machine that are no worker's: a process, sockets, files that everybody may use."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o777)
        (folder / "file").write_text("everybody's")
        (folder / "file").chmod(0o644)
        abstract = f"clawx-probe-{os.getpid()}"
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for address in (str(folder / "socket"), "\0" + abstract):
            end = stack.enter_context(socket.socket(socket.AF_UNIX))
            end.bind(address)
            end.listen()
        (folder / "socket").chmod(0o777)
        victim = stack.enter_context(sleeper())
        yield {
            "open_file": str(folder / "file"),
            "open_directory": str(folder),
            "socket": str(folder / "socket"),
            "abstract": abstract,
            "port": port.getsockname()[1],
            "victim": victim,
            "groups": [str(group) for group in ControlGroups(folder).top()],
            "home_file": find_closed_file(Path.home()),
        }


def find_closed_file(home: Path) -> str:
    """A file in a home that others may not enter; empty if there is none."""
    files = [str(place) for place in home.iterdir() if place.is_file()]
    return files[0] if files and not home.stat().st_mode & 0o001 else ""


@contextmanager
def sleeper() -> Iterator[int]:
    process = psutil.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"], "SECRET": "1"})
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
