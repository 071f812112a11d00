"""What only the Kafka log has: topics that somebody must make, brokers that go away, readers in other processes."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bus.backends.kafka import KafkaLog
from bus.backends.kafka_settings import KafkaSettings
from bus.channel import CHANNELS, STATE_CHANNELS, Partition, topic
from bus.errors import AppendUnknown, NamespaceMismatch, RecordTooLarge, Refused, Unavailable
from bus.log import Appender, Raw
from tests.brokers.kafka_source import KafkaBroker
from tests.brokers.loopback import HOST, free_ports
from tests.conformance.records import P0, P1, append, batch, read_all, take, values
from tests.eventually import eventually

LARGE = Raw(b"", b"x" * 2000, (), 0)
ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()


async def configuration(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def test_the_first_makes_topics_that_keep_state_for_ever_and_telemetry_for_an_hour(
    kafka: str, admin: AIOKafkaAdminClient, namespace: str
) -> None:
    log = await KafkaLog.connect(kafka, namespace=namespace)
    assert log.partitions == 8
    await log.close()
    found = {channel: await configuration(admin, topic(namespace, channel)) for channel in CHANNELS}
    assert {each["cleanup.policy"] for each in found.values()} == {"delete"}
    assert {each["message.timestamp.type"] for each in found.values()} == {"CreateTime"}
    for channel in STATE_CHANNELS:
        assert (found[channel]["retention.ms"], found[channel]["retention.bytes"]) == ("-1", "-1")
    assert found["telemetry"]["retention.ms"] == "3600000"


async def test_many_may_be_the_first_at_once(kafka: str, namespace: str) -> None:
    logs = await asyncio.gather(*(KafkaLog.connect(kafka, namespace=namespace) for _ in range(5)))
    assert {log.partitions for log in logs} == {8}
    for log in logs:
        await log.close()


async def test_who_comes_first_chooses_the_partitions_also_of_a_half_made_namespace(
    kafka: str, admin: AIOKafkaAdminClient, namespace: str
) -> None:
    await admin.create_topics([NewTopic(topic(namespace, "task"), 2, 1)])
    log = await KafkaLog.connect(kafka, namespace=namespace)
    assert log.partitions == 2
    assert len(await log.ends(Partition(channel, number) for channel in CHANNELS for number in range(2))) == 10
    await log.close()


async def test_topics_that_differ_are_a_mismatch_and_are_named(
    kafka: str, admin: AIOKafkaAdminClient, namespace: str
) -> None:
    await admin.create_topics([NewTopic(topic(namespace, "task"), 2, 1), NewTopic(topic(namespace, "data"), 3, 1)])
    with pytest.raises(NamespaceMismatch, match=f"{namespace}.data has 3 partitions, not 2"):
        await KafkaLog.connect(kafka, namespace=namespace)


async def test_what_the_broker_does_not_allow_is_refused(kafka: str, namespace: str) -> None:
    with pytest.raises(Refused, match=f"{namespace}.task: InvalidReplicationFactor"):
        await KafkaLog.connect(kafka, namespace=namespace, replication=99)


async def test_a_batch_that_the_broker_refuses_is_not_there_and_spends_the_appender(
    kafka: str, admin: AIOKafkaAdminClient, namespace: str
) -> None:
    log = await KafkaLog.connect(kafka, namespace=namespace)
    small = {"max.message.bytes": "1000"}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic(namespace, "task"), small)])
    appender = await eventually(lambda: refused(log), what="the broker minds its new limit")
    with pytest.raises(AppendUnknown, match="spent"):
        await appender.append(P0, batch("never"))
    await append(log, P0, "small")
    assert {each for each in values(await read_all(log, P0)) if each != LARGE.value.decode()} == {"small"}
    await log.close()


async def refused(log: KafkaLog) -> Appender | None:
    """An appender whose batch the broker has just refused."""
    appender = await log.appender()
    try:
        await appender.append(P0, [LARGE])
    except RecordTooLarge:
        return appender
    await appender.close()
    return None


async def test_no_broker_is_unavailable_within_seconds(namespace: str) -> None:
    (port,) = free_ports(1)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=f"^no answer from Kafka at {HOST}:{port}: ") as failure:
        await KafkaLog.connect(f"{HOST}:{port}", namespace=namespace)
    assert time.monotonic() - begun < 30
    assert "\n" not in str(failure.value)


async def test_a_server_that_says_nothing_is_unavailable_in_time(namespace: str) -> None:
    with socket.create_server((HOST, 0)) as silent:
        bootstrap = f"{HOST}:{silent.getsockname()[1]}"
        settings = KafkaSettings(bootstrap=bootstrap, connect_ms_max=300)
        with pytest.raises(Unavailable, match="no answer"):
            await KafkaLog.connect(bootstrap, namespace=namespace, settings=settings)


READING = """
import asyncio, sys
from bus.address import open_log
from bus.channel import Partition

async def read(url):
    log = await open_log(url)
    reader = await log.reader({Partition("task", 0): 1})
    print("ready", flush=True)
    while True:
        for records in (await reader.read()).values():
            for each in records:
                print(each.offset, each.value.decode(), flush=True)

asyncio.run(read(sys.argv[1]))
"""


async def test_a_reader_in_another_process_hears_what_is_appended_here(kafka: str, namespace: str) -> None:
    log = await KafkaLog.connect(kafka, namespace=namespace)
    await append(log, P0, "before", "from here")
    command = [sys.executable, "-c", READING, f"kafka://{kafka}?namespace={namespace}"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    assert await process.stdout.readline() == b"1 from here\n"
    await append(log, P0, "now")
    assert await process.stdout.readline() == b"2 now\n"
    process.kill()
    await process.communicate()
    await log.close()


async def test_a_paused_broker_makes_appends_unknown_in_time_and_reading_goes_on_after_it(
    kafka_broker: Callable[[], KafkaBroker], namespace: str
) -> None:
    broker = await asyncio.to_thread(kafka_broker)
    settings = KafkaSettings(bootstrap=broker.bootstrap, append_ms_max=5_000, connect_ms_max=5_000)
    log = await KafkaLog.connect(broker.bootstrap, namespace=namespace, settings=settings)
    reader, spent = await log.reader({P0: 0, P1: 0}), await log.appender()
    await spent.append(P0, batch("before"))
    assert values((await take(reader, 1))[P0]) == ["before"]
    broker.pause()
    begun = time.monotonic()
    unknown = [spent.append(P0, batch(f"unknown{number}")) for number in range(3)]
    assert {type(each) for each in await asyncio.gather(*unknown, return_exceptions=True)} == {AppendUnknown}
    assert 4 < time.monotonic() - begun < 40
    with pytest.raises(AppendUnknown, match="spent"):
        await spent.append(P1, batch("never"))
    with pytest.raises(Unavailable):
        await log.appender()
    assert await reader.read(wait_ms=100) == {}
    broker.resume()
    await spent.close()
    await append(log, P1, "after")
    taken = await take(reader, 1)
    while P1 not in taken:
        taken = await take(reader, 1)
    assert values(taken[P1]) == ["after"]
    check_unknown(values(await read_all(log, P0)))
    await log.close()


def check_unknown(found: list[str]) -> None:
    """Of what is unknown there may be any, but in order and once."""
    assert found[0] == "before"
    assert found[1:] == [f"unknown{number}" for number in range(len(found) - 1)]


async def test_a_broker_killed_under_load_loses_repeats_and_moves_nothing(
    kafka_broker: Callable[[], KafkaBroker], namespace: str
) -> None:
    broker = await asyncio.to_thread(kafka_broker)
    settings = KafkaSettings(bootstrap=broker.bootstrap, append_ms_max=250_000)
    log = await KafkaLog.connect(broker.bootstrap, namespace=namespace, settings=settings)
    reader, appender = await log.reader({P0: 0}), await log.appender()
    await appender.append(P0, batch(0))
    futures = [appender.append(P0, batch(number)) for number in range(1, 500)]
    await futures[100]
    broker.pause()  # at once, so that much is still to come whoever is slow here
    await asyncio.to_thread(broker.kill)
    assert not futures[-1].done()
    await asyncio.to_thread(broker.restart)
    assert await asyncio.gather(*futures) == list(range(1, 500))
    assert values((await take(reader, 500))[P0]) == [str(number) for number in range(500)]
    await log.close()
