"""The bus as a program uses it: publish, follow a channel or one key of it, to the end or for ever."""

from contextlib import aclosing

from bus.client import LogBus
from bus.clock import ManualClock
from bus.codec import Codec
from tests.bus.bank import LANGUAGE, CoinDropped, DepositRequested
from tests.bus.simulated import on_a_log
from tests.simulation.bank_process import SimulatedBlobs
from tests.simulation.log import SimulatedLog

CODEC = Codec(LANGUAGE)


def bus_on(log: SimulatedLog) -> LogBus:
    return LogBus(log, CODEC, SimulatedBlobs(log.rng), ManualClock())


async def publish(bus: LogBus, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        await bus.publish(CoinDropped(workspace_id=f"w{number % 5}"), record_id=f"coin-{number}")


def test_what_is_not_live_ends_where_the_log_ended_at_the_call() -> None:
    async def main(log: SimulatedLog) -> None:
        bus = bus_on(log)
        await publish(bus, 20)
        seen: list[str] = []
        async for envelope in bus.subscribe("task", [CoinDropped], live=False):
            if not seen:
                await publish(bus, 5, first=20)
            seen.append(envelope.id)
        assert sorted(seen) == sorted(f"coin-{number}" for number in range(20))
        assert [e async for e in bus.subscribe("review", [CoinDropped], live=False)] == []
        await bus.close()

    on_a_log(main)


def test_what_is_live_goes_on_with_what_comes() -> None:
    async def main(log: SimulatedLog) -> None:
        bus = bus_on(log)
        await publish(bus, 3)
        seen: set[str] = set()
        async with aclosing(bus.subscribe("task", [CoinDropped])) as live:  # type: ignore[type-var]
            async for envelope in live:
                seen.add(envelope.id)
                if len(seen) == 3:
                    await publish(bus, 2, first=3)
                if len(seen) == 5:
                    break
        assert seen == {f"coin-{number}" for number in range(5)}

    on_a_log(main)


def test_a_key_narrows_to_its_own_records_and_a_type_to_itself() -> None:
    async def main(log: SimulatedLog) -> None:
        bus = bus_on(log)
        await publish(bus, 20)
        await bus.publish(DepositRequested(workspace_id="w1", amount=1))
        found = [e async for e in bus.subscribe("task", [CoinDropped], key="w1", live=False)]
        assert [envelope.id for envelope in found] == ["coin-1", "coin-6", "coin-11", "coin-16"]

    on_a_log(main)
