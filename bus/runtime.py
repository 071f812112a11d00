"""Hosts the roles of a service: a seat for each role on each partition that is assigned to this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from random import Random, SystemRandom
from typing import Any

from bus.appender import SharedAppender
from bus.assignment import Assignment
from bus.blob_cache import BlobCache, BlobKeeper
from bus.channel import Partition
from bus.clock import Clock
from bus.codec import Codec
from bus.decider import Role
from bus.errors import Halted
from bus.feed import Feeds
from bus.log import Log
from bus.reader import Place
from bus.recall import Recaller
from bus.seat import Seat
from bus.session import HEARD_RECORDS_MAX, Ports
from bus.snapshot import SNAPSHOT_RECORDS, Snapshots

logger = logging.getLogger(__name__)


class Runtime:
    """Runs some roles over one log. `homes` names the home channel of every role there is, for posts between them."""

    def __init__(
        self,
        *,
        log: Log,
        codec: Codec,
        blobs: BlobKeeper,
        clock: Clock,
        roles: Sequence[Role[Any]],
        homes: Mapping[str, str],
        random: Random | None = None,
        heard_records_max: int = HEARD_RECORDS_MAX,
        snapshots: Snapshots | None = None,
        snapshot_records: int = SNAPSHOT_RECORDS,
    ) -> None:
        self._log, self._roles = log, tuple(roles)
        self._feeds = Feeds(log, codec)
        self._appenders = SharedAppender(log)
        self._blobs = BlobCache(blobs, self._resume)
        self._recaller = Recaller(log, codec, self._resume)
        self._ports = Ports(
            codec=codec,
            clock=clock,
            blobs=self._blobs,
            homes=homes,
            partitions=log.partitions,
            random=random or SystemRandom(),
            heard_records_max=heard_records_max,
            snapshots=snapshots,
            snapshot_records=snapshot_records,
            recaller=self._recaller,
        )
        self._seats: dict[tuple[str, int], tuple[Seat, asyncio.Task[None]]] = {}
        self._is_assigned = False
        self._moved = asyncio.Event()

    async def run(self, assignment: Assignment) -> None:
        """Own what the assignment says, until it is closed or this call is cancelled; then hand over in order."""
        try:
            async for numbers in assignment.watch():
                await self._own(numbers)
                self._is_assigned = True
                self._tell_moved()
        finally:
            await self._own(frozenset())

    async def _own(self, numbers: frozenset[int]) -> None:
        """Hand over only what is no longer assigned, and take only what is new."""
        gone = [key for key in self._seats if key[1] not in numbers]
        await asyncio.gather(*(self._release(key) for key in gone))
        for number in sorted(numbers):
            for role in self._roles:
                if (role.name, number) not in self._seats:
                    seat = Seat(role, number, self._log, self._feeds, self._appenders, self._ports)
                    seat.moved = self._tell_moved
                    task = asyncio.create_task(seat.run(), name=seat.name)
                    self._seats[role.name, number] = seat, task

    async def _release(self, key: tuple[str, int]) -> None:
        seat, task = self._seats.pop(key)
        await seat.release()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def abandon(self) -> None:
        """Stop without handing over, as a crash would; another owner finds out by itself."""
        seats, self._seats = self._seats, {}
        for seat, task in seats.values():
            seat.leave()
            task.cancel()
        await asyncio.gather(*(task for _, task in seats.values()), return_exceptions=True)
        await self._feeds.close()

    def _resume(self) -> None:
        for seat, _ in list(self._seats.values()):
            seat.resume()

    def _tell_moved(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def decides(self) -> None:
        """Wait until partitions are assigned and each of its seats has claimed its own and heard its inputs; seats that
        come and go meanwhile count as they are then. Raises Halted where one has stopped for good.
        """
        while not (self._is_assigned and all(seat.deciding.is_set() for seat, _ in self._seats.values())):
            if halted := self.halted:
                raise Halted("; ".join(f"{name} has stopped: {why}" for name, why in sorted(halted.items())))
            moved = self._moved
            await moved.wait()

    @property
    def halted(self) -> dict[str, str]:
        """Why, by the name of the seat, for each that stopped for good."""
        return {seat.name: seat.halted for seat, _ in self._seats.values() if seat.halted}

    def state(self, role: str, number: int) -> Any:
        """The state of a role on a partition as it was last read back, or None while there is none."""
        seat, _ = self._seats.get((role, number), (None, None))
        return seat.session.confirmed if seat and seat.session else None

    def confirmed(self) -> Iterator[tuple[str, Partition, Any, int]]:
        """For each role that owns a partition now: its name and home, its state as it was last read back, and the
        offset at home up to which that state is the fold."""
        for seat, _ in self._seats.values():
            if session := seat.session:
                yield seat.role.name, seat.home, session.confirmed, session.confirmed_at

    def place(self, partition: Partition) -> Place:
        """Where this process stands on a partition that its roles hear, with the fences there: as good a place to read
        on from as any, and close to the end."""
        return self._feeds.place(partition)

    async def close(self) -> None:
        """Let go of readers and the producer; `run` has ended before."""
        await self._blobs.close()
        await self._recaller.close()
        await self._feeds.close()
        await self._appenders.close()
