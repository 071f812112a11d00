"""A small world in calm weather in which one process dies, or falls asleep, at exactly the n-th point of its life.

Points are named after what the process is about to do or has just learnt: "claim sent", "fact landed" (in the log, not
yet acknowledged), "fact acknowledged", "event read", "post sent" … Every life of the process may have a point of its
own, so that a second one ends in the middle of recovering from the first.
`python -m tests.simulation.point_world SERVICE END POINT…` repeats one world.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence

from bus.publisher import Publisher
from bus.record import Record
from tests.bus.bank import UNLUCKY, CoinDropped, DepositRequested
from tests.simulation.bank import silence
from tests.simulation.bank_check import Asked, Times, problems
from tests.simulation.bank_lines import Book
from tests.simulation.bank_process import CODEC, SERVICES, Process, SimulatedBlobs
from tests.simulation.bank_replay import Replay
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import Stuck, VirtualClock, VirtualLoop, elapse, simulate
from tests.simulation.storage import Storage
from tests.simulation.weather import CALM, Weather

COMMAND = "python -m tests.simulation.point_world"
ALL = frozenset({0, 1})
ENDS = ("crash", "sleep")

DEPOSITS = (
    DepositRequested(workspace_id="w0", amount=1, accounts=3),
    DepositRequested(workspace_id="w1", amount=2, remind_ms=30),
    DepositRequested(workspace_id="w2", amount=UNLUCKY),
    DepositRequested(workspace_id="w1", amount=3, digest="blob-late"),
    DepositRequested(workspace_id="w0", amount=4, accounts=2, remind_ms=700, wants_receipt=True),
)


class PointWorld:
    """One service's process ends at the given points of its lives; the other service lives on."""

    def __init__(self, service: str, end: str, points: Sequence[int]) -> None:
        self.service, self.end, self.points = service, end, list(points)
        self.rng = random.Random(0)
        self.storage = Storage(len(ALL))
        self.book = Book(self.storage.records)
        self.replay = Replay(self.book)
        self.asked = Asked()
        self.passed: list[list[str]] = []  # names of points, for each life
        self.wrong: list[str] = []
        self.living: list[Process] = []
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Ask, end the process as often as there are points, and see that all is well once it is quiet."""
        self.blobs = SimulatedBlobs(self.rng)
        self.blobs.expect("blob-late", 0.2)
        victim = self._start(self.service)
        for service in SERVICES.keys() - {self.service}:
            self._start(service)
        asking = asyncio.create_task(self._ask())
        while self.points:
            if not await self._ends_in_time():
                break
            victim = await self._succeed(victim)
        await asking
        await self._quiet()
        self.replay.read_on()
        self.wrong += self.replay.differences(process.runtime for process in self.living)
        self.wrong += [failure for process in self.living if (failure := process.failure())]
        times = Times(landed_s=self.storage.landed_s, kept_s=self.blobs.kept_s)
        self.wrong += problems(self.book, self.asked, times)

    def _start(self, service: str) -> Process:
        life = len(self.passed)
        if service == self.service:
            self.passed.append([])

        def passing(process: Process, point: str) -> None:
            if service == self.service:
                self._pass(process, life, point)

        clock = VirtualClock(asyncio.get_running_loop())
        steady = Weather()  # no fault, but unlike CALM it may be looked at one record at a time
        process = Process(service, self.storage, self.rng, steady, clock, self.blobs, passing, heard_records_max=4)
        process.assignment.set(ALL)
        self.living.append(process)
        return process

    def _pass(self, process: Process, life: int, point: str) -> None:
        self.passed[life].append(point)
        if self.points and life == len(self.passed) - 1 and len(self.passed[life]) == self.points[0]:
            self.points.pop(0)
            if self.end == "crash":
                process.log.dead = True
            else:
                process.log.pause()
            self._ended.set()

    async def _ends_in_time(self) -> bool:
        """Whether the point comes at all."""
        try:
            async with asyncio.timeout(8):
                await self._ended.wait()
        except TimeoutError:
            return False
        self._ended.clear()
        return True

    async def _succeed(self, victim: Process) -> Process:
        """Another process takes over; one that only slept wakes later and finds out by itself."""
        if self.end == "crash":
            self.living.remove(victim)
            await victim.crash()
        successor = self._start(self.service)
        if self.end == "sleep":
            asyncio.get_running_loop().call_later(0.5, victim.log.resume)
            asyncio.get_running_loop().call_later(0.6, victim.assignment.set, frozenset())
        return successor

    async def _ask(self) -> None:
        clock = VirtualClock(asyncio.get_running_loop())
        publisher = Publisher(SimulatedLog(self.storage, self.rng, CALM), CODEC, clock)
        for n, ask in enumerate(DEPOSITS):
            self.asked.deposits[f"ask-{n}"] = ask
            await self._publish(publisher, ask, f"ask-{n}")
            await self._publish(publisher, CoinDropped(workspace_id="w3"), f"coin-{n}")
            await elapse(0.02)
        await self._publish(publisher, DEPOSITS[0], "ask-0")

    @staticmethod
    async def _publish(publisher: Publisher, record: Record, record_id: str) -> None:
        await publisher.publish(record, record_id=record_id)

    async def _quiet(self) -> None:
        length = -1
        while length != len(self.storage):
            length = len(self.storage)
            await elapse(16)


def run_points(service: str, end: str, points: Sequence[int]) -> PointWorld:
    """One such world from its beginning to its quiet end."""
    loop, world = VirtualLoop(), PointWorld(service, end, points)
    with silence():
        try:
            simulate(world.run(), loop)
        except Stuck as stuck:
            world.wrong.append(f"quiet: {stuck}")
    return world


def main(arguments: list[str]) -> int:
    """Print what is wrong with a world, and where its lives ended."""
    world = run_points(arguments[0], arguments[1], [int(point) for point in arguments[2:]])
    for life in world.passed:
        sys.stdout.write(f"a life of {len(life)} points, up to {life[-1] if life else 'nothing'}\n")
    for problem in world.wrong:
        sys.stdout.write(f"{problem}\n")
    return min(len(world.wrong), 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
