"""Publishing: asks and reports alone, to the partition of their key, again under the same id while nobody knows."""

import pytest

from bus.channel import Partition, partition_number
from bus.clock import ManualClock
from bus.codec import Codec
from bus.errors import AppendUnknown, Refused
from bus.publisher import ATTEMPTS_MAX, Publisher
from bus.record import Claimed, Heard, Record
from tests.bus.bank import LANGUAGE, CoinDropped, Deposited, DepositRequested, Forwarded
from tests.bus.simulated import on_a_log
from tests.simulation.log import SimulatedLog
from tests.simulation.weather import Weather

CODEC = Codec(LANGUAGE)
ASK = DepositRequested(workspace_id="w", amount=1)
FACTS: list[Record] = [
    Deposited(workspace_id="w", account=0, amount=1, total=1, ask_id="a"),
    Forwarded(workspace_id="w", account=0, amount=1, ask_id="a"),
    Claimed(role="bank.teller", session="s", epoch=1),
    Heard(),
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_nobody_publishes_a_fact_or_a_claim(fact: Record) -> None:
    async def main(log: SimulatedLog) -> None:
        publisher = Publisher(log, CODEC, ManualClock())
        with pytest.raises(Refused, match="only asks and reports"):
            await publisher.publish(fact)
        assert len(log.storage) == 0

    on_a_log(main)


def test_a_record_goes_to_the_partition_of_its_key_and_says_where_it_stands() -> None:
    async def main(log: SimulatedLog) -> None:
        publisher = Publisher(log, CODEC, ManualClock(77))
        for number, workspace in enumerate(("a", "b", "c", "a")):
            at = await publisher.publish(CoinDropped(workspace_id=workspace), record_id=f"id-{number}")
            stored = log.storage.records[Partition(at.channel, at.number)][at.offset]
            assert at.number == partition_number(workspace, 2)
            assert (stored.key, stored.time_ms) == (workspace.encode(), 77)
            peek = CODEC.peek(stored)
            assert (peek.id, peek.origin.kind) == (f"id-{number}", "report")
        await publisher.close()

    on_a_log(main)


def test_each_record_has_an_id_of_its_own_unless_it_is_given_one() -> None:
    async def main(log: SimulatedLog) -> None:
        publisher = Publisher(log, CODEC, ManualClock())
        places = [await publisher.publish(ASK) for _ in range(20)]
        records = [log.storage.records[Partition(at.channel, at.number)][at.offset] for at in places]
        assert len({CODEC.peek(stored).id for stored in records}) == 20

    on_a_log(main)


def test_an_unknown_outcome_is_repeated_under_the_same_id() -> None:
    async def main(log: SimulatedLog) -> None:
        publisher = Publisher(log, CODEC, ManualClock())
        for number in range(30):
            at = await publisher.publish(ASK, record_id=f"ask-{number}")
            stored = log.storage.records[Partition(at.channel, at.number)][at.offset]
            assert CODEC.peek(stored).id == f"ask-{number}"
        ids = [CODEC.peek(stored).id for log_ in log.storage.records.values() for stored in log_]
        assert set(ids) == {f"ask-{number}" for number in range(30)}
        assert len(ids) > 30, "no acknowledgement was lost"

    on_a_log(main, Weather(unheard=0.25))


def test_a_log_that_never_answers_is_told_to_the_caller() -> None:
    async def main(log: SimulatedLog) -> None:
        publisher = Publisher(log, CODEC, ManualClock())
        with pytest.raises(AppendUnknown):
            await publisher.publish(ASK, record_id="ask")
        assert len(log.storage) == ATTEMPTS_MAX

    on_a_log(main, Weather(unheard=1.0))
