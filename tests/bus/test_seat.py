"""A seat that cannot go on says so; one that lost its claim takes it again, undisturbed by what it lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bus.assignment import StaticAssignment
from bus.channel import Partition
from bus.clock import Clock, ClockJumped
from bus.codec import Codec
from bus.decider import Role
from bus.errors import AppendUnknown, Fatal, Halted
from bus.log import Stored
from bus.publisher import Publisher
from bus.runtime import Runtime
from tests.bus.bank import HOMES, LANGUAGE, TELLER, DepositRequested
from tests.bus.simulated import on_a_log
from tests.simulation.bank_process import SimulatedBlobs
from tests.simulation.log import SimulatedLog, SimulatedReader
from tests.simulation.loop import VirtualClock, elapse

CODEC = Codec(LANGUAGE)
ASK = DepositRequested(workspace_id="w", amount=1)


class Watch(Clock):
    """In step with the world until it is set wrong."""

    def __init__(self) -> None:
        self._clock = VirtualClock(asyncio.get_running_loop())
        self.is_wrong = False

    def now_ms(self) -> int:
        if self.is_wrong:
            raise ClockJumped("the wall clock moved")
        return self._clock.now_ms()


@asynccontextmanager
async def hosting(log: Any, role: Role[Any] = TELLER, clock: Clock | None = None) -> AsyncIterator[Runtime]:
    runtime = Runtime(
        log=log, codec=CODEC, blobs=SimulatedBlobs(log.rng), clock=clock or Watch(), roles=[role], homes=HOMES,
        random=log.rng,
    )  # fmt: skip
    assignment = StaticAssignment(range(2))
    task = asyncio.create_task(runtime.run(assignment))
    try:
        yield runtime
    finally:
        await assignment.close()
        await task
        await runtime.close()


async def ask(log: SimulatedLog, record_id: str = "ask") -> None:
    await Publisher(log, CODEC, Watch()).publish(ASK, record_id=record_id)


def types(log: SimulatedLog) -> list[str]:
    records = [stored for partition in log.storage.records.values() for stored in partition]
    return [CODEC.peek(stored).type for stored in records]


def test_a_clock_that_jumped_stops_a_role_loudly_before_and_after_its_claim() -> None:
    async def main(log: SimulatedLog) -> None:
        watch = Watch()
        async with hosting(log, clock=watch) as runtime:
            await runtime.decides()
            watch.is_wrong = True
            await ask(log)
            await elapse(5)
            assert any("ClockJumped" in why for why in runtime.halted.values())
        wrong = Watch()
        wrong.is_wrong = True
        async with hosting(log, clock=wrong) as runtime:
            with pytest.raises(Halted, match=r"bank.teller\[\d\] has stopped: ClockJumped: the wall clock moved"):
                await runtime.decides()
            await elapse(5)
            assert len(runtime.halted) == 2
        assert "Deposited" not in types(log)

    on_a_log(main)


def test_an_own_fact_that_it_cannot_fold_stops_a_role_loudly() -> None:
    async def main(log: SimulatedLog) -> None:
        await ask(log)
        async with hosting(log) as runtime:
            await runtime.decides()
            await elapse(1)

        def forgetful(state: Any, fact: Any, time_ms: int) -> Any:
            raise LookupError("this version has forgotten how")

        async with hosting(log, replace(TELLER, evolve=forgetful)) as runtime:
            await elapse(5)
            assert ["LookupError" in why for why in runtime.halted.values()] == [True]

    on_a_log(main)


class BrokenReader(SimulatedReader):
    broken: list[BaseException] = []  # noqa: RUF012 — set by the one test that uses it

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> Mapping[Partition, Sequence[Stored]]:
        if self.broken:
            raise self.broken[0]
        return await super().read(records_max=records_max, wait_ms=wait_ms)


class BreakableLog(SimulatedLog):
    async def reader(self, positions: Mapping[Partition, int]) -> SimulatedReader:
        await self.delay()
        return BrokenReader(self, positions)


@pytest.mark.parametrize("error", [Fatal("not allowed to read"), KeyError("a bug in a client")])
def test_a_channel_that_cannot_be_read_any_more_halts_whoever_listens(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(log: SimulatedLog) -> None:
        breakable = BreakableLog(log.storage, log.rng, log.weather)
        async with hosting(breakable) as runtime:
            await runtime.decides()
            monkeypatch.setattr(BrokenReader, "broken", [error])
            await elapse(5)
            assert len(runtime.halted) == 2
            assert all("cannot be read" in why for why in runtime.halted.values())

    on_a_log(main)


class Shares:
    """An assignment that says what it is told to."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[frozenset[int]] = asyncio.Queue()

    async def watch(self) -> AsyncIterator[frozenset[int]]:
        while True:
            yield await self.told.get()

    async def close(self) -> None:
        """Nothing to let go of."""


def test_who_waits_for_seats_does_not_wait_for_one_that_is_given_away_meanwhile() -> None:
    async def main(log: SimulatedLog) -> None:
        runtime = Runtime(
            log=log, codec=CODEC, blobs=SimulatedBlobs(log.rng), clock=Watch(), roles=[TELLER], homes=HOMES,
            random=log.rng,
        )  # fmt: skip
        shares = Shares()
        running = asyncio.create_task(runtime.run(shares))
        waiting = asyncio.create_task(runtime.decides())
        shares.told.put_nowait(frozenset({0, 1}))
        await asyncio.sleep(0)
        shares.told.put_nowait(frozenset({0}))
        await elapse(20)
        assert waiting.done()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        await runtime.close()

    on_a_log(main)


def test_a_late_error_of_a_lost_session_leaves_the_next_one_alone() -> None:
    async def main(log: SimulatedLog) -> None:
        async with hosting(log) as runtime:
            await runtime.decides()
            seat = next(seat for seat, _ in runtime._seats.values())
            old = seat.session
            assert old is not None
            seat._lose("for a reason of its own")
            await elapse(5)
            new = seat.session
            assert new is not None
            assert new is not old
            old._lose("an append failed: after a while")
            failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            failed.set_exception(AppendUnknown("late"))
            old._check_append(failed)
            await elapse(5)
            assert seat.session is new

    on_a_log(main)


def test_a_storm_of_deadlines_does_not_keep_a_process_from_anything_else() -> None:
    """Time would stand still if the seat woke itself again and again while there is no room."""

    async def main(log: SimulatedLog) -> None:
        publisher = Publisher(log, CODEC, Watch())
        async with hosting(log) as runtime:
            await runtime.decides()
            record = DepositRequested(workspace_id="w", amount=1, remind_ms=60_000)
            raws = [publisher._raw(record, f"ask-{number}", "", "")[1] for number in range(3_000)]
            home = publisher._raw(record, "x", "", "")[0]
            for at in range(0, len(raws), 500):
                log.storage.land(home, raws[at : at + 500])
            await elapse(200)
            assert not runtime.halted
        assert types(log).count("Reminded") == 6_000

    on_a_log(main)
