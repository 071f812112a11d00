"""What a Decider makes itself is in the store before the facts that name it are in the log."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bus.address import open_log
from bus.blobs import digest_of
from bus.channel import Partition
from bus.clock import SystemClock
from bus.decider import Draft
from bus.errors import Unavailable
from bus.log import Log
from bus.publisher import Publisher
from bus.record import Envelope
from bus.testing import given
from tests.bus.bank import TELLER, Deposited, DepositRequested, Till
from tests.bus.test_runtime import CODEC, MemoryBlobs, facts, running
from tests.eventually import eventually

CONTENT = b"a receipt"


class SlowBlobs(MemoryBlobs):
    """A store that fails at first and keeps a content only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_put = asyncio.Event()
        self.tries = 0

    async def put(self, content: bytes) -> str:
        self.tries += 1
        if self.tries == 1:
            raise Unavailable("not yet")
        await self.may_put.wait()
        self.contents[digest_of(content)] = content
        return digest_of(content)


def decide(draft: Draft[Till], heard: Envelope) -> None:
    TELLER.decide(draft, heard)
    if isinstance(heard.record, DepositRequested):
        assert draft.keep(CONTENT) == digest_of(CONTENT)


KEEPER = replace(TELLER, decide=decide)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    log = await open_log(f"sqlite:///{tmp_path / 'log'}", partitions=2)
    yield log
    await log.close()


async def test_a_fact_is_appended_once_what_it_names_is_durable(log: Log) -> None:
    blobs = SlowBlobs()
    publisher = Publisher(log, CODEC, SystemClock())
    async with running(log, [KEEPER], blobs) as runtime:
        await runtime.decides()
        ask = DepositRequested(workspace_id="w", amount=1)
        at = await publisher.publish(ask, record_id="ask")
        await eventually(lambda: blobs.tries == 2)
        home = Partition("task", at.number)
        assert (await log.ends([home]))[home] == at.offset + 1
        blobs.may_put.set()
        (deposited,) = await facts(log, "task", Deposited, 1)
        assert deposited.origin.cause == str(at)
        assert blobs.contents == {digest_of(CONTENT): CONTENT}
    await publisher.close()


def test_a_scenario_has_what_was_kept() -> None:
    scenario = given(KEEPER).when(DepositRequested(workspace_id="w", amount=1))
    assert scenario.blobs[digest_of(CONTENT)] == CONTENT
