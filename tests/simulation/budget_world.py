"""Two processes host the budgets in bad weather, while many attempts ask at once, account, and die without a word.

`python -m tests.simulation.budget_world FIRST[:LAST]` repeats seeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from typing import Any

from fastavro.schema import parse_schema

from bus.channel import Partition
from bus.codec import schemas
from bus.errors import Retryable
from bus.publisher import Publisher
from bus.record import Claimed, Fact, Origin, Record, derive_id, derive_trace
from services.allocator.budgets import BUDGETS
from services.records import LANGUAGE, language_codec
from services.records.budget import BudgetSetRequested, UsageReported
from services.records.content import Usage, Work
from services.records.task import TaskAssigned
from services.topology import HOMES
from tests.simulation.bank import silence
from tests.simulation.bank_lines import Book, Line
from tests.simulation.bank_process import Process, SimulatedBlobs
from tests.simulation.budget_check import problems
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import Stuck, VirtualClock, VirtualLoop, elapse, simulate
from tests.simulation.seeds import report_seeds
from tests.simulation.storage import Storage
from tests.simulation.weather import CALM, CLIENTS, STORMS

COMMAND = "python -m tests.simulation.budget_world"
CODEC = language_codec()
SCHEMAS = {name.split("/")[1]: parse_schema(schema) for name, schema in schemas(LANGUAGE).items()}
ROSTER = "router.roster"
LIFE_MS = 20_000
"""Of an attempt; after it and a while it must have been accounted for."""


class BudgetWorld:
    """A world of one seed; what is wrong stands in `wrong`."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.storage = Storage(1)
        self.book = Book(self.storage.records, schemas=SCHEMAS)
        self.processes: list[Process] = []
        self.attempts: dict[str, TaskAssigned] = {}
        self.said = self.crashes = 0
        self.wrong: list[str] = []

    async def run(self) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.client = Publisher(SimulatedLog(self.storage, self.rng, CLIENTS), CODEC, self.clock)
        self._write(Claimed(role=ROSTER, session="s" * 16, epoch=1), Origin("claim", ROSTER, "s" * 16, 1))
        for subject, most in (("workspace", 2_000), ("run:*", 900), ("run:r1", 300), ("instance:*", 700)):
            await self._limit(subject, self.rng.choice((most, most * 4)))
        self.processes = [self._start(), self._start()]
        self._own(0)
        asking = asyncio.create_task(self._ask())
        for _ in range(self.rng.randint(4, 8)):
            await elapse(self.rng.uniform(0.1, 1.5))
            await self._trouble()
        await asking
        await self._calm()
        self.wrong += [failure for each in self.processes if (failure := each.failure())]
        self.book.read()
        self.wrong += problems(self.book.facts, self.attempts)

    # The roster, the nodes, and somebody who sets limits.

    async def _ask(self) -> None:
        seen = 0
        for n in range(40):
            self._assign(f"a{n}")
            if self.rng.random() < 0.1:
                await self._limit(self.rng.choice(("workspace", "run:r1", "run:*")), self.rng.randint(0, 6_000))
            for _ in range(self.rng.randint(0, 3)):
                await elapse(self.rng.uniform(0, 0.15))
                seen = await self._act(seen)
        for _ in range(60):
            await elapse(0.2)
            seen = await self._act(seen)

    def _assign(self, name: str) -> None:
        rng = self.rng
        order = TaskAssigned(
            workspace_id="w",
            task_id=name,
            attempt_id=name,
            instance_id=f"i{rng.randrange(3)}",
            node_id="node",
            node_session="n",
            incarnation=1,
            deadline_ms=self.clock.now_ms() + LIFE_MS,
            work=Work(run_id=f"r{rng.randrange(3)}", stage="s", execution=1),
            budgeted=True,
        )
        self.attempts[name] = order
        self._write(order, Origin("fact", ROSTER, "s" * 16, 1, self.said))
        self.said += 1

    def _write(self, record: Record, origin: Origin) -> None:
        """The roster has one owner that nothing befalls."""
        record_id = derive_id(origin, "world")
        raw = CODEC.encode(
            record,
            record_id=record_id,
            origin=origin,
            time_ms=self.clock.now_ms(),
            trace=derive_trace(record_id),
            key="" if isinstance(record, Fact) else ROSTER,
        )
        self.storage.land(Partition("task", 0), [raw])

    async def _act(self, seen: int) -> int:
        """The nodes read what counts and account for some of it, now and then twice or not at all."""
        self.book.read()
        for line in self.book.facts[seen:]:
            if line.type in ("TrancheGranted", "TrancheDeferred"):
                await self._account(line)
        return len(self.book.facts)

    async def _account(self, line: Line) -> None:
        rng, body = self.rng, line.body
        fate = rng.choice(("more", "more", "end", "end", "unknown", "dead", "wrong number", "gives up"))
        if fate == "dead" or (line.type == "TrancheDeferred" and fate != "gives up"):
            return
        tokens = rng.randint(0, max(0, body.get("tokens", 0)))
        report = UsageReported(
            workspace_id="w",
            run_id=body["run_id"],
            attempt_id=body["attempt_id"],
            instance_id=body["instance_id"],
            node_id="node",
            node_session="n",
            incarnation=1,
            number=body["number"] + (fate == "wrong number"),
            usage=Usage(output_tokens=0 if fate == "gives up" else tokens),
            final=fate not in ("more", "wrong number"),
            known=fate != "unknown",
        )
        for _ in range(rng.choice((1, 1, 2))):
            await self._publish(report, derive_id(line.at, fate))

    async def _limit(self, subject: str, tokens: int) -> None:
        await self._publish(BudgetSetRequested(workspace_id="w", subject=subject, tokens=tokens), self._name())

    def _name(self) -> str:
        return f"{self.rng.getrandbits(64):016x}"

    async def _publish(self, record: Any, record_id: str) -> None:
        while True:
            with contextlib.suppress(Retryable):
                await self.client.publish(record, record_id=record_id)
                return

    # Trouble, and its end.

    def _start(self) -> Process:
        clock = VirtualClock(asyncio.get_running_loop())
        weather = self.rng.choice(STORMS)
        blobs = SimulatedBlobs(self.rng)
        return Process(
            "budgets", self.storage, self.rng, weather, clock, blobs, roles=(BUDGETS,), homes=HOMES, codec=CODEC
        )

    def _own(self, owner: int) -> None:
        for n, process in enumerate(self.processes):
            process.assignment.set(frozenset({0} if n == owner else ()))

    async def _trouble(self) -> None:
        at = self.rng.randrange(2)
        if self.rng.random() < 0.7:
            self.crashes += 1
            await self.processes[at].crash()
            self.processes[at] = self._start()
        else:
            self.processes[at].log.pause()
            asyncio.get_running_loop().call_later(self.rng.uniform(0.5, 4), self.processes[at].log.resume)
        self._own(self.rng.randrange(2))

    async def _calm(self) -> None:
        """One process is left; what nobody accounts for is over in time."""
        await elapse(6)
        for process in self.processes:
            process.log.weather = CALM
        await self.processes.pop(0).crash()
        self._own(0)
        await elapse(400)


def run_world(seed: int) -> BudgetWorld:
    """One world from its beginning to its quiet end."""
    loop, world = VirtualLoop(), BudgetWorld(seed)
    with silence():
        try:
            simulate(world.run(), loop)
        except Stuck as stuck:
            world.wrong.append(f"quiet: {stuck}")
    return world


if __name__ == "__main__":
    sys.exit(report_seeds(sys.argv[1], lambda seed: run_world(seed).wrong))
