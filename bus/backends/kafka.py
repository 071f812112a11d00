"""The log of many processes: one Kafka topic for each channel of a namespace."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from bus.backends.admission import check_partitions
from bus.backends.kafka_appender import KafkaAppender
from bus.backends.kafka_failures import failures
from bus.backends.kafka_group import KafkaGroup
from bus.backends.kafka_probe import probe
from bus.backends.kafka_reader import KafkaReader, start_consumer, stop_consumer
from bus.backends.kafka_settings import KafkaSecurity, KafkaSettings
from bus.backends.kafka_topics import open_topics
from bus.channel import CHANNELS, NAMESPACE_DEFAULT, Partition, topic
from bus.errors import Unavailable


class KafkaLog:
    """A Log on a cluster. Durable means acknowledged by all in-sync replicas: have three brokers, or trust the one."""

    def __init__(self, settings: KafkaSettings, namespace: str, partitions: int, consumer: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._namespace = namespace
        self._partitions = partitions
        self._consumer = consumer
        self._appenders: set[KafkaAppender] = set()
        self._readers: set[KafkaReader] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def connect(
        cls,
        bootstrap: str,
        *,
        namespace: str = NAMESPACE_DEFAULT,
        partitions: int | None = None,
        replication: int | None = None,
        security: KafkaSecurity | None = None,
        settings: KafkaSettings | None = None,
        make: bool = True,
    ) -> "KafkaLog":
        """Find the namespace on the cluster at `HOST:PORT[,HOST:PORT]`, or make it.

        `partitions` (default 8) and `replication` (default 3, as far as there are brokers) are for a new namespace;
        one that has other partitions raises NamespaceMismatch. `settings` replace bootstrap and security. Raises
        Refused when there is none and it shall not be made, Unavailable when no broker answers within `connect_ms_max`.
        """
        settings = settings or KafkaSettings(bootstrap=bootstrap, security=security or KafkaSecurity())
        await probe(settings)
        count = await open_topics(settings, namespace, partitions=partitions, replication=replication, make=make)
        consumer = await start_consumer(settings, [topic(namespace, channel) for channel in CHANNELS])
        return cls(settings, namespace, count, consumer)

    @property
    def namespace(self) -> str:
        return self._namespace

    @property
    def partitions(self) -> int:
        return self._partitions

    async def appender(self) -> KafkaAppender:
        self._check_open()
        appender = await KafkaAppender.start(self._settings, self._namespace, self._partitions, self._let_go)
        self._appenders.add(appender)
        return appender

    async def reader(self, positions: Mapping[Partition, int]) -> KafkaReader:
        self._check_open()
        consumer = await start_consumer(self._settings, [topic(self._namespace, channel) for channel in CHANNELS])
        reader = KafkaReader(consumer, self._namespace, self._partitions, self._readers.discard)
        self._readers.add(reader)
        reader.seek(positions)
        return reader

    async def group(self, name: str, channel: str = CHANNELS[0]) -> KafkaGroup:
        """Join the group of a service, which shares out the partition numbers, and be an Assignment."""
        self._check_open()
        return await KafkaGroup.join(self._settings, f"{self._namespace}.{name}", topic(self._namespace, channel))

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        named = self._named(partitions)
        with failures(self._settings.bootstrap):
            offsets = await self._consumer.beginning_offsets(list(named))
        return {partition: offsets[name] for name, partition in named.items()}

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        named = self._named(partitions)
        with failures(self._settings.bootstrap):
            offsets = await self._consumer.end_offsets(list(named))
        return {partition: offsets[name] for name, partition in named.items()}

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for appender in list(self._appenders):
            await appender.close()
        for reader in list(self._readers):
            await reader.close()
        await stop_consumer(self._consumer)
        await asyncio.gather(*self._background)

    def _named(self, partitions: Iterable[Partition]) -> dict[TopicPartition, Partition]:
        self._check_open()
        check_partitions(partitions := list(partitions), self._partitions)
        return {TopicPartition(topic(self._namespace, each.channel), each.number): each for each in partitions}

    def _let_go(self, appender: KafkaAppender, work: Coroutine[Any, Any, None]) -> None:
        self._appenders.discard(appender)
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"the log of {self._settings.bootstrap} was closed")
