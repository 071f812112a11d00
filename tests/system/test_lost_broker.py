"""A broker freezes, one of three dies, the network is cut in the middle of a load: nothing is lost or doubled, and all
goes on soon, without a restart of any service."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.brokers.absence import AbsentError
from tests.brokers.cable import Cable, cable
from tests.brokers.jars import kafka_jars
from tests.brokers.kafka_cabled import CabledKafka
from tests.brokers.kafka_cluster import KafkaCluster
from tests.brokers.kafka_source import KafkaBroker
from tests.eventually import eventually
from tests.system.aftermath import check_aftermath
from tests.system.fleet import Fleet, fleet
from tests.system.load import Load, loaded
from tests.system.raw_log import Schema, following
from tests.system.test_killed_broker import PROGRESS_S_MAX

logger = logging.getLogger(__name__)

RUNS = 40


@pytest.fixture
def jars() -> Path:
    """What brokers are started from."""
    try:
        return kafka_jars()
    except AbsentError as reason:
        pytest.skip(f"no Kafka broker of its own: {reason}")


@pytest.fixture
def cluster(jars: Path, tmp_path: Path) -> Iterator[KafkaCluster]:
    """Three brokers."""
    found = KafkaCluster(jars, tmp_path / "brokers")
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def cabled(jars: Path, tmp_path: Path) -> Iterator[tuple[str, Cable]]:
    """The address of a broker, and the cable to it."""
    with cable() as found:
        broker = CabledKafka(jars, tmp_path / "broker", found)
        try:
            broker.start()
            yield broker.bootstrap, found
        finally:
            found.mend()
            broker.kill()


async def notice(system: Fleet) -> None:
    """Wait until the node, which always has something to say, was not answered in time; roles may have been silent."""
    await eventually(lambda: "telemetry for" in system.running["factory"].said(), 180, "a word that is lost")


async def go_on(load: Load) -> None:
    """The next runs end soon."""
    began, ended = time.monotonic(), load.ended()
    await load.ends(ended + 1)
    took_s = time.monotonic() - began
    logger.info("a run ended %.1f s after the fault", took_s)
    assert took_s < PROGRESS_S_MAX


@pytest.mark.kafka
async def test_one_of_three_brokers_dies_and_comes_back(
    cluster: KafkaCluster, namespace: str, tmp_path: Path, schemas: Mapping[str, Schema]
) -> None:
    with fleet(f"kafka://{cluster.bootstrap}", namespace, tmp_path / "system") as system:
        async with following(system.bus, system.namespace, schemas) as raw:
            async with loaded(system, raw, RUNS) as load:
                await load.ends(RUNS // 5)
                for member in cluster.members[:2]:
                    await asyncio.to_thread(member.kill)
                    await go_on(load)
                    await load.ends(load.ended() + RUNS // 5)
                    await asyncio.to_thread(member.start)
                    await go_on(load)
            assert all(program.lives for program in system.running.values())
            await check_aftermath(system, raw)


@pytest.mark.kafka
async def test_the_network_to_the_broker_is_cut_and_mended(
    cabled: tuple[str, Cable], namespace: str, tmp_path: Path, schemas: Mapping[str, Schema]
) -> None:
    bootstrap, line = cabled
    with fleet(f"kafka://{bootstrap}", namespace, tmp_path / "system") as system:
        async with following(system.bus, system.namespace, schemas) as raw:
            async with loaded(system, raw, RUNS) as load:
                await load.ends(RUNS // 5)
                line.cut()
                await notice(system)
                line.mend()
                await go_on(load)
            assert all(program.lives for program in system.running.values())
            await check_aftermath(system, raw)


async def test_a_broker_that_freezes_and_wakes(
    kafka_broker: Callable[[], KafkaBroker], namespace: str, tmp_path: Path, schemas: Mapping[str, Schema]
) -> None:
    broker = await asyncio.to_thread(kafka_broker)
    with fleet(f"kafka://{broker.bootstrap}", namespace, tmp_path / "system") as system:
        async with following(system.bus, system.namespace, schemas) as raw:
            async with loaded(system, raw, RUNS) as load:
                await load.ends(RUNS // 5)
                broker.pause()
                await notice(system)
                broker.resume()
                await go_on(load)
            assert all(program.lives for program in system.running.values())
            await check_aftermath(system, raw)
