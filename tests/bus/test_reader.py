"""Fenced reading: what counts and is wanted, in order, from any place that was saved."""

import pytest

from bus.channel import Partition
from bus.clock import ManualClock
from bus.codec import Codec
from bus.errors import UnknownRecordType
from bus.publisher import Publisher
from bus.reader import START, FencedReader, Place
from bus.record import Claimed, Envelope, Origin, Record
from tests.bus.bank import LANGUAGE, CoinDropped, Deposited, DepositRequested
from tests.bus.simulated import on_a_log
from tests.simulation.log import SimulatedLog

CODEC = Codec(LANGUAGE)
ONE = Partition("task", 0)
ROLE = "bank.teller"


def say(log: SimulatedLog, record: Record, origin: Origin) -> None:
    raw = CODEC.encode(record, record_id="ab" * 12, origin=origin, time_ms=1, trace="a" * 32)
    log.storage.land(ONE, [raw])


def claim(log: SimulatedLog, session: str, epoch: int) -> None:
    say(log, Claimed(role=ROLE, session=session, epoch=epoch), Origin("claim", ROLE, session, epoch))


def deposited(log: SimulatedLog, session: str, epoch: int, seq: int, amount: int) -> None:
    fact = Deposited(workspace_id="w", account=0, amount=amount, total=amount, ask_id="a")
    say(log, fact, Origin("fact", ROLE, session, epoch, seq, cause="task/0/0"))


def story(log: SimulatedLog) -> None:
    """Two claims; the zombie of the first writes 90 and more, and a gap hides 80."""
    claim(log, "x", 1)
    deposited(log, "x", 1, 0, 1)
    deposited(log, "x", 1, 1, 2)
    claim(log, "y", 2)
    deposited(log, "x", 1, 2, 90)
    deposited(log, "y", 2, 0, 3)
    claim(log, "late", 2)
    deposited(log, "late", 2, 0, 91)
    deposited(log, "y", 2, 1, 4)
    deposited(log, "y", 2, 3, 80)
    deposited(log, "y", 2, 2, 81)


def amounts(envelopes: list[Envelope]) -> list[int]:
    return [envelope.record.amount for envelope in envelopes]


def test_zombies_late_claims_and_what_stands_behind_a_gap_are_not_read() -> None:
    async def main(log: SimulatedLog) -> None:
        story(log)
        reader = await FencedReader.open(log, CODEC, {ONE: START}, [Deposited])
        assert amounts(await reader.read()) == [1, 2, 3, 4]

    on_a_log(main)


def test_from_every_saved_place_the_rest_is_read_as_if_all_had_been() -> None:
    async def main(log: SimulatedLog) -> None:
        story(log)
        for first in range(1, 11):
            reader = await FencedReader.open(log, CODEC, {ONE: START}, [Deposited])
            before: list[int] = []
            while reader.places()[ONE].offset < first:
                before += amounts(await reader.read(records_max=1))
            again = await FencedReader.open(log, CODEC, reader.places(), [Deposited])
            assert [*before, *amounts(await again.read())] == [1, 2, 3, 4]

    on_a_log(main)


def test_a_partition_may_be_added_dropped_and_added_again_at_its_place() -> None:
    async def main(log: SimulatedLog) -> None:
        reader = await FencedReader.open(log, CODEC, {}, [Deposited])
        story(log)
        reader.add({ONE: START})
        assert amounts(await reader.read(records_max=2)) == [1]
        place = reader.places()[ONE]
        reader.drop([ONE])
        assert await reader.read(wait_ms=10) == []
        assert ONE not in reader.places()
        reader.add({ONE: place})
        assert amounts(await reader.read()) == [2, 3, 4]
        await reader.close()

    on_a_log(main)


def test_asks_that_nobody_can_decode_are_passed_over() -> None:
    async def main(log: SimulatedLog) -> None:
        publisher = Publisher(log, CODEC, ManualClock())
        at = await publisher.publish(CoinDropped(workspace_id="w"))
        home = Partition(at.channel, at.number)
        stored = log.storage.records[home][0]
        for value, headers in ((b"garbage", stored.headers), (stored.value, ())):
            bad = stored._replace(value=value, headers=headers)
            log.storage.records[home].append(bad._replace(offset=len(log.storage.records[home])))
        await publisher.publish(CoinDropped(workspace_id="w"))
        reader = await FencedReader.open(log, CODEC, {home: START}, [CoinDropped])
        assert len(await reader.read()) == 2

    on_a_log(main)


def test_a_fact_that_counts_and_cannot_be_decoded_is_refused_unless_the_caller_says_otherwise() -> None:
    async def main(log: SimulatedLog) -> None:
        claim(log, "x", 1)
        deposited(log, "x", 1, 0, 1)
        log.storage.records[ONE][1] = log.storage.records[ONE][1]._replace(value=b"garbage")
        deposited(log, "x", 1, 1, 2)
        reader = await FencedReader.open(log, CODEC, {ONE: START}, [Deposited])
        with pytest.raises(UnknownRecordType, match="task/0/1"):
            await reader.read()
        told: list[int] = []
        places = {ONE: Place()}
        lenient = await FencedReader.open(log, CODEC, places, [Deposited], lambda p, offset, error: told.append(offset))
        assert amounts(await lenient.read()) == [2]
        assert told == [1]

    on_a_log(main)


def test_a_fact_that_says_it_is_an_ask_is_not_read() -> None:
    async def main(log: SimulatedLog) -> None:
        fact = Deposited(workspace_id="w", account=0, amount=1, total=1, ask_id="a")
        say(log, fact, Origin("ask"))
        say(log, fact, Origin("fact", ROLE))
        say(log, DepositRequested(workspace_id="w", amount=1), Origin("ask"))
        reader = await FencedReader.open(log, CODEC, {ONE: START}, [Deposited, DepositRequested])
        assert [type(envelope.record) for envelope in await reader.read()] == [DepositRequested]

    on_a_log(main)
