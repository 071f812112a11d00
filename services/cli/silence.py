"""Who should speak when a run does not move: the roles without an owner, and the role whose word is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from bus.client import Bus
from bus.record import Claimed
from services.audit.progress import Progress
from services.cli.run_request import Asked

SILENCE_S_MAX = 10.0
"""How long a run may stand still before somebody is named."""


class Silence:
    """Notes when a run moves, and names who should move it once it has not for SILENCE_S_MAX."""

    def __init__(self, bus: Bus, asked: Asked, progress: Progress, say: Callable[[str], None]) -> None:
        self._bus, self._asked, self._progress, self._say = bus, asked, progress, say
        self._moved = asyncio.Event()

    def note(self) -> None:
        """The run has moved."""
        self._moved.set()

    async def watch(self) -> None:
        """Name each role once in a row of silence."""
        while True:
            self._moved.clear()
            try:
                async with asyncio.timeout(SILENCE_S_MAX):
                    await self._moved.wait()
            except TimeoutError:
                for sentence in await self._find():
                    self._say(sentence)
                await self._moved.wait()

    async def _find(self) -> list[str]:
        if not list(awaited(self._progress)):
            return []
        unowned = await find_unowned(self._bus, self._asked.at.number)
        said = [
            f"{role} has no owner: start it with `clawx service {role.partition('.')[0]}`" for role in sorted(unowned)
        ]
        for role, what in awaited(self._progress):
            if role not in unowned:
                service = role.partition(".")[0]
                said.append(f"{role} has not {what} for {SILENCE_S_MAX:g} s: does `clawx service {service}` run?")
        return said


def awaited(progress: Progress) -> Iterator[tuple[str, str]]:
    """The roles whose word a run waits for, and what they have not done."""
    if progress.status == "requested":
        yield "orchestrator.runs", "taken up the run"
    statuses = {each.status for each in progress.executions.values()}
    if "requested" in statuses:
        yield "router.roster", "answered a task"
    if "queued" in statuses and "assigned" not in statuses:
        yield "factory.instances", "brought an instance"


async def find_unowned(bus: Bus, number: int) -> set[str]:
    """The roles that nobody ever claimed: on this partition where it is theirs alone to say, on any otherwise."""
    from services.topology import ROLES

    owned: set[str] = set()
    for channel in sorted({role.home for role in ROLES}):
        async for envelope in bus.subscribe(channel, [Claimed], live=False):
            of_pool = envelope.record.role == "allocator.pool"  # its key is another than the workspace's
            if envelope.at and (of_pool or envelope.at.number == number):
                owned.add(envelope.record.role)
    return {role.name for role in ROLES} - owned
