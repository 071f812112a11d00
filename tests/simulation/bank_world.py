"""Several processes host the bank's roles in bad weather: crashes, zombies, rebalances, duplicates and poison."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

from bus.assignment import Assignment
from bus.channel import Partition
from bus.codec import Codec
from bus.decider import Role
from bus.errors import BlobMissing, Retryable
from bus.log import Raw
from bus.publisher import Publisher
from bus.runtime import Runtime
from tests.bus.bank import CLERK, HOMES, LANGUAGE, SAFE, TELLER, DepositRequested
from tests.simulation.log import CALM, STORM, SimulatedLog, Storage
from tests.simulation.loop import VirtualClock, VirtualLoop

PARTITIONS = 2
HOSTS = (("bank", (TELLER, CLERK)), ("vault", (SAFE,)))
CODEC = Codec(LANGUAGE)


class NoBlobs:
    async def get(self, digest: str) -> bytes:
        raise BlobMissing(digest)


class MovableAssignment(Assignment):
    """What a rebalance decides, as the world says."""

    def __init__(self) -> None:
        self._changes: asyncio.Queue[frozenset[int]] = asyncio.Queue()

    def set(self, numbers: frozenset[int]) -> None:
        self._changes.put_nowait(numbers)

    async def watch(self) -> AsyncIterator[frozenset[int]]:
        while True:
            yield await self._changes.get()

    async def close(self) -> None:
        pass


class Process:
    """One process that hosts the roles of one service."""

    def __init__(self, world: BankWorld, roles: tuple[Role[Any], ...]) -> None:
        self.log = SimulatedLog(world.storage, world.rng, world.weather)
        self.assignment = MovableAssignment()
        self.runtime = Runtime(
            log=self.log, codec=CODEC, blobs=NoBlobs(), clock=world.clock, roles=roles, homes=HOMES, random=world.rng
        )
        self.task = asyncio.create_task(self.runtime.run(self.assignment))

    async def crash(self) -> None:
        """Gone at once: nothing more is said or heard; what was on its way may still land."""
        self.log.dead = True
        await self.runtime.abandon()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class BankWorld:
    """A world of one seed. `run` goes through a storm, then through calm weather until nothing happens any more."""

    def __init__(self, seed: int, loop: VirtualLoop) -> None:
        self.seed, self.rng = seed, random.Random(seed)
        self.weather = STORM
        self.storage, self.clock = Storage(PARTITIONS), VirtualClock(loop)
        self.asked: list[tuple[str, str, int]] = []  # id, workspace, amount
        self.processes: dict[str, list[Process]] = {}
        self.crashes = self.pauses = self.moves = 0

    async def run(self) -> None:
        for service, roles in HOSTS:
            self.processes[service] = [Process(self, roles) for _ in range(2)]
            self._rebalance(service)
        asking = asyncio.create_task(self._ask())
        for _ in range(self.rng.randint(3, 8)):
            await asyncio.sleep(self.rng.uniform(0.05, 1.5))
            await self._trouble()
        await asking
        await self._calm()

    async def _ask(self) -> None:
        publisher = Publisher(SimulatedLog(self.storage, self.rng, self.weather), CODEC, self.clock)
        for n in range(self.rng.randint(10, 40)):
            await asyncio.sleep(self.rng.uniform(0, 0.1))
            workspace, amount = f"w{self.rng.randrange(4)}", self.rng.choice((1, 2, 3, 50, 13))
            self.asked.append((f"ask-{n}", workspace, amount))
            for _ in range(self.rng.choice((1, 1, 1, 2))):
                await self._publish(publisher, DepositRequested(workspace_id=workspace, amount=amount), f"ask-{n}")
            if self.rng.random() < 0.1:
                self.storage.land(Partition("task", self.rng.randrange(PARTITIONS)), [_poison(self.rng)])

    async def _publish(self, publisher: Publisher, record: DepositRequested, record_id: str) -> None:
        """As a client does it: repeat until it is acknowledged."""
        while True:
            with contextlib.suppress(Retryable):
                await publisher.publish(record, record_id=record_id)
                return

    async def _trouble(self) -> None:
        service, roles = self.rng.choice(HOSTS)
        processes = self.processes[service]
        process = self.rng.choice(processes)
        match self.rng.choice(("crash", "crash", "pause", "move")):
            case "crash":
                self.crashes += 1
                await process.crash()
                processes[processes.index(process)] = Process(self, roles)
            case "pause":
                self.pauses += 1
                process.log.pause()
                asyncio.get_running_loop().call_later(self.rng.uniform(0.5, 5), process.log.resume)
            case "move":
                self.moves += 1
        self._rebalance(service)

    def _rebalance(self, service: str) -> None:
        """Give each partition to one process; a paused one does not hear that it has lost its own."""
        owners = [self.rng.choice(self.processes[service]) for _ in range(PARTITIONS)]
        for process in self.processes[service]:
            process.assignment.set(frozenset(n for n, owner in enumerate(owners) if owner is process))

    async def _calm(self) -> None:
        """The faults stop: one process of each service is left and owns everything, until the log is quiet."""
        self.weather = CALM
        await asyncio.sleep(6)
        for service, processes in self.processes.items():
            for process in processes:
                process.log.weather = CALM
            await processes[0].crash()
            processes[1].assignment.set(frozenset(range(PARTITIONS)))
            self.processes[service] = processes[1:]
        length = -1
        while length != (length := sum(map(len, self.storage.records.values()))):
            await asyncio.sleep(30)  # noqa: ASYNC110 — virtual time; what is waited for is that nothing comes
        halted = {name: why for (p,) in self.processes.values() for name, why in p.runtime.halted.items()}
        assert not halted, halted


def _poison(rng: random.Random) -> Raw:
    headers = (("ce_type", b"DepositRequested"), ("ce_id", b"poison"), ("clawx", b"ask||||" + b"|" * 3))
    good = (("ce_type", b"DepositRequested"), ("ce_id", b"poison"), ("clawx", b"ask|||0|0|0|1|"))
    return rng.choice(
        (
            Raw(b"w0", rng.randbytes(20), headers, 0),
            Raw(b"w0", rng.randbytes(20), good, 0),
            Raw(b"\xff", b"", (), 0),
        )
    )
