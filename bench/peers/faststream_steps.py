"""FastStream on Kafka: three subscribers, each of which hands a message on to the next topic; nothing is recorded."""

import asyncio
import logging
import secrets
from itertools import pairwise

import chain
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.kafka import KafkaBroker

PARTITIONS = 8


async def main() -> None:
    given, name = chain.arguments(), f"faststream-{secrets.token_hex(4)}"
    topics = [f"{name}.{number}" for number in range(chain.STEPS + 1)]
    admin = AIOKafkaAdminClient(bootstrap_servers=given.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics])
    await admin.close()
    broker = KafkaBroker(given.kafka, logger=None, acks="all", enable_idempotence=True)
    ended: dict[int, asyncio.Future[None]] = {}
    for source, target in pairwise(topics):

        @broker.subscriber(source, auto_offset_reset="earliest", group_id=source)
        @broker.publisher(target)
        async def hand_on(number: int) -> int:
            return number

    @broker.subscriber(topics[-1], auto_offset_reset="earliest", group_id=topics[-1])
    async def end(number: int) -> None:
        ended.pop(number).set_result(None)

    async def run(number: int) -> None:
        ended[number] = asyncio.get_running_loop().create_future()
        waiting = ended[number]
        await broker.publish(number, topics[0], partition=number % PARTITIONS)
        await waiting

    logging.disable(logging.WARNING)
    await broker.start()
    await chain.measure(run, given.runs, given.concurrency)
    await broker.stop()


asyncio.run(main())
