"""A simulated producer session: in order on each partition, until an outcome is unknown."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bus.channel import Partition
from bus.errors import AppendUnknown
from bus.log import Raw

if TYPE_CHECKING:
    from tests.simulation.log import SimulatedLog

Waiting = tuple[Sequence[Raw], Future[int], str]


class SimulatedAppender:
    """Sends one batch after the other to each partition; spent after an unknown outcome.

    A batch may be lost while those behind it land: fences must hold against that.
    """

    def __init__(self, log: SimulatedLog) -> None:
        self._log, self._loop = log, asyncio.get_running_loop()
        self._lanes: dict[Partition, deque[Waiting]] = {}
        self._spent = False

    def append(self, partition: Partition, records: Sequence[Raw]) -> Future[int]:
        future: Future[int] = self._loop.create_future()
        what = _what(records[0])
        if not self._log.passes(f"{what} sent"):
            return future
        if self._spent:
            future.set_exception(AppendUnknown("this appender is spent"))
            return future
        lane = self._lanes.setdefault(partition, deque())
        lane.append((records, future, what))
        if len(lane) == 1:
            self._loop.call_later(self._seconds(), self._next, partition)
        return future

    def _seconds(self) -> float:
        return self._log.seconds()

    def _next(self, partition: Partition) -> None:
        """The first batch of the lane has reached the log, or whatever befalls it."""
        lane = self._lanes[partition]
        batch, future, what = lane.popleft()
        self._befall(partition, batch, future, what)
        if lane:
            self._loop.call_later(self._seconds(), self._next, partition)

    def _befall(self, partition: Partition, batch: Sequence[Raw], future: Future[int], what: str) -> None:
        log, dice = self._log, self._log.rng.random()
        weather = log.weather
        if (dice := dice - weather.lost) < 0:
            self._fail(future)
        elif (dice := dice - weather.late) < 0:
            self._fail(future)
            self._loop.call_later(log.rng.uniform(0.0, 2.0), log.storage.land, partition, batch)
        else:
            offset = log.storage.land(partition, batch)
            alive = log.passes(f"{what} landed")
            if dice < weather.unheard:
                self._fail(future)
            elif alive and log.awake.is_set():
                self._answer(future, offset, what)
            elif alive:
                log.waking.append(lambda: self._answer(future, offset, what))
            if log.rng.random() < weather.twice:
                self._loop.call_later(log.rng.uniform(0.0, 0.5), log.storage.land, partition, batch)

    def _answer(self, future: Future[int], offset: int, what: str) -> None:
        if not future.done() and not self._log.dead:
            future.set_result(offset)
            self._log.passes(f"{what} acknowledged")

    def _fail(self, future: Future[int]) -> None:
        self._spent = True
        if not future.done() and not self._log.dead:
            future.set_exception(AppendUnknown("simulated: no acknowledgement"))
            future.exception()

    async def close(self) -> None:
        """What is on its way goes on arriving."""
        self._spent = True


def _what(raw: Raw) -> str:
    """What a batch is, by its first record: asks, claims, facts …; `Heard` facts and acknowledgements by name."""
    headers = dict(raw.headers)
    name = headers.get("ce_type", b"").decode(errors="replace")
    if name in ("Heard", "PostAcknowledged"):
        return name
    return headers.get("clawx", b"?").split(b"|")[0].decode(errors="replace")
