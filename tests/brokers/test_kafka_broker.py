"""A broker that the fixtures give is a real one, and survives what tests do to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from tests.brokers.kafka_source import KafkaBroker
from tests.brokers.metadata import serves_clients


async def make_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def reading(bootstrap: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        yield consumer
    finally:
        await consumer.stop()


async def test_what_is_produced_is_consumed(kafka: str, namespace: str) -> None:
    await make_topic(kafka, namespace)
    await produce(kafka, namespace, b"first")
    async with reading(kafka, namespace) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 60)
    assert record.value == b"first"
    assert record.offset == 0


async def test_a_killed_broker_comes_back_with_what_it_acknowledged(
    kafka_broker: Callable[[], KafkaBroker], namespace: str
) -> None:
    broker = await asyncio.to_thread(kafka_broker)
    before = broker.bootstrap
    await make_topic(broker.bootstrap, namespace)
    await produce(broker.bootstrap, namespace, b"kept")
    await asyncio.to_thread(broker.kill)
    host, port = before.split(":")
    assert not serves_clients(host, int(port))
    await asyncio.to_thread(broker.restart)
    assert broker.bootstrap == before
    async with reading(broker.bootstrap, namespace) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 60)
    assert record.value == b"kept"


async def test_a_paused_broker_answers_nobody_until_it_goes_on(kafka_broker: Callable[[], KafkaBroker]) -> None:
    broker = await asyncio.to_thread(kafka_broker)
    host, port = broker.bootstrap.split(":")
    broker.pause()
    assert not serves_clients(host, int(port), timeout_s=0.5)
    broker.resume()
    assert serves_clients(host, int(port))
