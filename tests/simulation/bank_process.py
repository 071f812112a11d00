"""A process of the bank: it hosts the roles of one service, and may crash, sleep or be told another assignment."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from bus.assignment import Assignment
from bus.clock import Clock
from bus.codec import Codec
from bus.decider import Role
from bus.errors import BlobMissing, Unavailable
from bus.runtime import Runtime
from bus.snapshot import Snapshots
from tests.bus.bank import CLERK, HOMES, LANGUAGE, SAFE, TELLER
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import elapse
from tests.simulation.storage import Storage
from tests.simulation.weather import Weather

SERVICES: dict[str, tuple[Role[Any], ...]] = {"bank": (TELLER, CLERK), "vault": (SAFE,)}
CODEC = Codec(LANGUAGE)


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


class SimulatedBlobs:
    """A store in which content turns up at its time, or never."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._there_s: dict[str, float] = {}
        self.kept_s: dict[str, float] = {}  # when each content was durable

    def expect(self, digest: str, seconds: float) -> None:
        """This content will be there after so many seconds."""
        self._there_s[digest] = asyncio.get_running_loop().time() + seconds

    async def get(self, digest: str) -> bytes:
        await self._answer()
        if asyncio.get_running_loop().time() < self._there_s.get(digest, float("inf")):
            raise BlobMissing(digest)
        return digest.encode()

    async def put(self, content: bytes) -> str:
        await self._answer()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.kept_s.setdefault(digest, asyncio.get_running_loop().time())
        await self._answer()
        return digest

    async def _answer(self) -> None:
        await elapse(self._rng.uniform(0.0001, 0.05))
        if self._rng.random() < 0.1:
            raise Unavailable("simulated: the store does not answer")


class Process:
    """One process from its start to its crash."""

    def __init__(
        self,
        service: str,
        storage: Storage,
        rng: random.Random,
        weather: Weather,
        clock: Clock,
        blobs: SimulatedBlobs,
        passing: Callable[[Process, str], None] = lambda process, point: None,
        *,
        heard_records_max: int = 0,
        snapshots: Snapshots | None = None,
        roles: Sequence[Role[Any]] = (),
        homes: Mapping[str, str] = HOMES,
        codec: Codec = CODEC,
    ) -> None:
        """Of the bank, unless roles are given with the homes and the language that they speak."""
        self.service = service
        self.owned: frozenset[int] = frozenset()  # what the world means it to own
        self.log = SimulatedLog(storage, rng, weather, lambda point: passing(self, point))
        self.assignment = MovableAssignment()
        self.runtime = Runtime(
            log=self.log,
            codec=codec,
            blobs=blobs,
            clock=clock,
            roles=tuple(roles) or SERVICES[service],
            homes=homes,
            random=rng,
            heard_records_max=heard_records_max or rng.choice((3, 20, 1000)),
            snapshots=snapshots,
            snapshot_records=rng.choice((1, 10, 1000)),
        )
        self.task = asyncio.create_task(self.runtime.run(self.assignment))

    async def crash(self) -> None:
        """Gone at once: nothing more is said or heard; what was on its way may still land."""
        self.log.dead = True
        await self.runtime.abandon()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def failure(self) -> str:
        """Why it does not run any more, if it does not."""
        if self.task.done() and not self.task.cancelled():
            return f"a process of {self.service} ended: {self.task.exception()!r}"
        return "".join(f"{name} halted: {why}" for name, why in self.runtime.halted.items())
