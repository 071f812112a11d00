"""Several processes host the bank's roles in bad weather: crashes, zombies, rebalances, duplicates and poison."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

from bus.channel import Partition
from bus.errors import Retryable
from bus.publisher import Publisher
from bus.record import Record
from tests.bus.bank import UNLUCKY, CoinDropped, DepositRequested
from tests.simulation.bank_check import Asked, Times, problems
from tests.simulation.bank_lines import Book
from tests.simulation.bank_poison import TO_CLERK, TO_SAFE, TO_TELLER, UNHEARD
from tests.simulation.bank_process import CODEC, SERVICES, Process, SimulatedBlobs
from tests.simulation.bank_replay import Replay
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import VirtualClock, elapse
from tests.simulation.snapshots import SimulatedSnapshots
from tests.simulation.storage import Storage
from tests.simulation.weather import CALM, CLIENTS, STORMS, Weather

PARTITIONS = 2
QUIET_S = 16.0
"""This long without a new record is quiet."""

SETTLE_S_MAX = 900.0
"""A world that is not quiet by then never will be."""


class BankWorld:
    """A world of one seed. `run` goes through a storm, then through calm weather until nothing happens any more."""

    def __init__(self, seed: int, storms: Sequence[Weather] = STORMS) -> None:
        self.seed, self.rng, self.storms = seed, random.Random(seed), storms
        self.is_calm = False
        self.storage = Storage(PARTITIONS, self._landed)
        self.book = Book(self.storage.records)
        self.replay = Replay(self.book)
        self.asked = Asked()
        self.processes: dict[str, list[Process]] = {}
        self.crashes = self.pauses = self.moves = 0
        self.wrong: list[str] = []
        self._comparing = False

    async def run(self) -> None:
        """The whole story; what is wrong stands in `wrong`."""
        self.blobs, self.snapshots = SimulatedBlobs(self.rng), SimulatedSnapshots(self.rng)
        for service in SERVICES:
            self.processes[service] = [self._start(service) for _ in range(self.rng.choice((2, 2, 3)))]
            self._rebalance(service)
        asking = asyncio.create_task(self._ask())
        for _ in range(self.rng.randint(3, 8)):
            await elapse(self.rng.uniform(0.05, 1.5))
            await self._trouble()
        await asking
        await self._calm()
        self._compare()
        times = Times(landed_s=self.storage.landed_s, kept_s=self.blobs.kept_s)
        self.wrong += problems(self.book, self.asked, times)

    def _start(self, service: str) -> Process:
        skew_ms = self.rng.choice((0, 0, -3000, 2000))
        clock = VirtualClock(asyncio.get_running_loop(), skew_ms)
        weather = CALM if self.is_calm else self.rng.choice(self.storms)
        return Process(service, self.storage, self.rng, weather, clock, self.blobs, snapshots=self.snapshots)

    # Asking.

    async def _ask(self) -> None:
        clock = VirtualClock(asyncio.get_running_loop())
        publisher = Publisher(SimulatedLog(self.storage, self.rng, CLIENTS), CODEC, clock)
        for n in range(self.rng.randint(10, 40)):
            await elapse(self.rng.uniform(0, 0.1))
            if self.rng.random() < 0.2:
                await self._publish(publisher, CoinDropped(workspace_id=self._workspace()), f"coin-{n}")
                continue
            ask = self._deposit(f"ask-{n}")
            for _ in range(self.rng.choice((1, 1, 1, 2))):
                await self._publish(publisher, ask, f"ask-{n}")
            if self.rng.random() < 0.15:
                self._poison()

    def _workspace(self) -> str:
        return f"w{self.rng.randrange(4)}"

    def _deposit(self, ask_id: str) -> DepositRequested:
        rng = self.rng
        digest = f"blob-{ask_id}" if rng.random() < 0.1 else ""
        if digest and rng.random() < 0.35:
            self.asked.missing.add(ask_id)
        elif digest:
            self.blobs.expect(digest, rng.uniform(0, 3))
        ask = DepositRequested(
            workspace_id=self._workspace(),
            amount=rng.choice((1, 2, 3, UNLUCKY)) if not digest else 4,
            accounts=rng.choice((1, 1, 2, 3)),
            remind_ms=rng.choice((0, 0, 50, 500, 4000)),
            digest=digest,
            wants_receipt=rng.random() < 0.1,
        )
        self.asked.deposits[ask_id] = ask
        return ask

    async def _publish(self, publisher: Publisher, record: Record, record_id: str) -> None:
        """As a client does it: repeat until it is acknowledged."""
        while True:
            with contextlib.suppress(Retryable):
                await publisher.publish(record, record_id=record_id)
                return

    def _poison(self) -> None:
        """Somebody writes what nobody should."""
        channel, kinds = self.rng.choice((("task", TO_TELLER), ("event", TO_CLERK), ("event", TO_SAFE), ("", UNHEARD)))
        partition = Partition(channel or self.rng.choice(("task", "event")), self.rng.randrange(PARTITIONS))
        offset = self.storage.land(partition, [self.rng.choice(kinds)(self.rng)])
        if channel:
            self.asked.poison.add(f"{partition}/{offset}")

    # Trouble.

    async def _trouble(self) -> None:
        service = self.rng.choice(sorted(SERVICES))
        processes = self.processes[service]
        process = self.rng.choice(processes)
        match self.rng.choice(("crash", "crash", "pause", "move", "give back", "all at once")):
            case "crash":
                self.crashes += 1
                await process.crash()
                processes[processes.index(process)] = self._start(service)
            case "pause":
                self.pauses += 1
                process.log.pause()
                asyncio.get_running_loop().call_later(self.rng.uniform(0.5, 5), process.log.resume)
            case "give back":
                await self._give_back(service)
                return
            case "all at once":
                for each in processes:
                    each.assignment.set(frozenset(range(PARTITIONS)))
                await elapse(self.rng.uniform(0.01, 1))
        self.moves += 1
        self._rebalance(service)

    def _rebalance(self, service: str) -> None:
        """Give each partition to one process; a paused one does not hear that it has lost its own."""
        owners = [self.rng.choice(self.processes[service]) for _ in range(PARTITIONS)]
        for process in self.processes[service]:
            process.owned = frozenset(n for n, owner in enumerate(owners) if owner is process)
            process.assignment.set(process.owned)

    async def _give_back(self, service: str) -> None:
        """A rebalance in which everybody loses everything and gets the same back."""
        for process in self.processes[service]:
            process.assignment.set(frozenset())
        await elapse(self.rng.choice((0.0, self.rng.uniform(0, 0.3))))
        for process in self.processes[service]:
            process.assignment.set(process.owned)

    # The end.

    async def _calm(self) -> None:
        """The faults stop: one process of each service is left and owns everything, until the log is quiet."""
        self.is_calm = True
        await elapse(6)
        for processes in self.processes.values():
            for process in processes:
                process.log.weather = CALM
            for process in processes[:-1]:
                await process.crash()
            del processes[:-1]
            processes[0].assignment.set(frozenset(range(PARTITIONS)))
        await self._quiet()
        self.wrong += [failure for (process,) in self.processes.values() if (failure := process.failure())]

    async def _quiet(self) -> None:
        end = asyncio.get_running_loop().time() + SETTLE_S_MAX
        length = -1
        while length != len(self.storage):
            length = len(self.storage)
            await elapse(QUIET_S)
            if asyncio.get_running_loop().time() > end:
                self.wrong.append(f"quiet: records are still written {SETTLE_S_MAX:g} s after the last fault")
                return

    def _landed(self) -> None:
        """Compare soon after each batch, when some of it has been read back and some has not."""
        if not self._comparing:
            self._comparing = True
            asyncio.get_running_loop().call_later(self.rng.uniform(0.001, 0.01), self._compare)

    def _compare(self) -> None:
        self._comparing = False
        self.replay.read_on()
        runtimes = (process.runtime for processes in self.processes.values() for process in processes)
        self.wrong += self.replay.differences(runtimes)
