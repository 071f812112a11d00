"""faust-streaming on Kafka: three agents, each of which hands a message on to the next topic; nothing is recorded."""

import asyncio
import logging
import secrets
from itertools import pairwise

import chain
import faust
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PARTITIONS = 8


async def main() -> None:
    given, name = chain.arguments(), f"faust-{secrets.token_hex(4)}"
    app = faust.App(name, broker=f"kafka://{given.kafka}", web_enabled=False, topic_disable_leader=True)
    topics = [app.topic(f"{name}.{number}", value_type=int, partitions=PARTITIONS) for number in range(chain.STEPS + 1)]
    admin = AIOKafkaAdminClient(bootstrap_servers=given.kafka)
    await admin.start()
    names = [*(topic.get_topic_name() for topic in topics), f"{name}-__assignor-__leader"]
    await admin.create_topics([NewTopic(each, PARTITIONS, 1) for each in names])
    await admin.close()
    ended: dict[int, asyncio.Future[None]] = {}

    def relay(source: faust.TopicT, target: faust.TopicT) -> None:
        @app.agent(source, name=source.get_topic_name())
        async def hand_on(numbers: faust.StreamT) -> None:
            async for number in numbers:
                await target.send(value=number)

    for source, target in pairwise(topics):
        relay(source, target)

    @app.agent(topics[-1], name="end")
    async def end(numbers: faust.StreamT) -> None:
        async for number in numbers:
            ended.pop(number).set_result(None)

    async def run(number: int) -> None:
        ended[number] = asyncio.get_running_loop().create_future()
        waiting = ended[number]
        await topics[0].send(key=str(number), value=number)
        await waiting

    logging.disable(logging.WARNING)
    await app.start()
    await chain.measure(run, given.runs, given.concurrency)
    await app.stop()


asyncio.run(main())
