"""The broker dies by SIGKILL in the middle of a load and comes back: nothing is lost or doubled, all goes on soon."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.brokers.kafka_source import KafkaBroker
from tests.system.aftermath import check_aftermath
from tests.system.fleet import fleet
from tests.system.load import loaded
from tests.system.raw_log import Schema, following

logger = logging.getLogger(__name__)

RUNS = 100
PROGRESS_S_MAX = 90
"""From when the broker serves again to the next end of a run; a few seconds on a quiet machine."""


async def test_a_load_goes_on_when_the_broker_is_back(
    kafka_broker: Callable[[], KafkaBroker], namespace: str, tmp_path: Path, schemas: Mapping[str, Schema]
) -> None:
    broker = await asyncio.to_thread(kafka_broker)
    with fleet(f"kafka://{broker.bootstrap}", namespace, tmp_path / "system") as system:
        async with following(system.bus, system.namespace, schemas) as raw:
            async with loaded(system, raw, RUNS) as load:
                await load.ends(RUNS // 5)
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
                began, ended = time.monotonic(), load.ended()
                await load.ends(ended + 1)
                took_s = time.monotonic() - began
                logger.info("a run ended %.1f s after the broker was back", took_s)
                assert took_s < PROGRESS_S_MAX
            assert all(program.lives for program in system.running.values())
            await check_aftermath(system, raw)
