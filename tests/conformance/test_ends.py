"""Starts and ends of partitions."""

import pytest

from bus.channel import Partition
from bus.errors import Refused
from bus.log import Log
from tests.conformance.records import P0, P1, P2, append

EVENT = Partition("event", 0)


async def test_a_new_log_is_empty(log: Log) -> None:
    assert await log.starts([P0, P1, EVENT]) == {P0: 0, P1: 0, EVENT: 0}
    assert await log.ends([P0, P1, EVENT]) == {P0: 0, P1: 0, EVENT: 0}


async def test_the_end_is_the_offset_of_the_next_record(log: Log) -> None:
    await append(log, P0, *"abc")
    await append(log, EVENT, "x")
    assert await log.ends([P0, P1, P2, EVENT]) == {P0: 3, P1: 0, P2: 0, EVENT: 1}
    assert await append(log, P0, "d") == 3
    assert await log.starts([P0]) == {P0: 0}


async def test_of_no_partitions_there_are_no_ends(log: Log) -> None:
    assert await log.ends([]) == {}


async def test_a_partition_that_is_not_there_has_no_ends(log: Log) -> None:
    for call in (log.starts, log.ends):
        with pytest.raises(Refused, match="no partition"):
            await call([P0, Partition("task", 3)])


async def test_the_log_says_how_it_was_made(log: Log) -> None:
    assert log.partitions == 3
    assert log.namespace
