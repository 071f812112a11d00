"""The topics of a namespace: found, or made by whoever comes first."""

import asyncio
from collections.abc import Collection
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from bus.backends.kafka_failures import failures
from bus.backends.kafka_settings import KafkaSettings
from bus.channel import CHANNELS, PARTITIONS_DEFAULT, STATE_CHANNELS, topic
from bus.errors import NamespaceMismatch, Refused

REPLICATION_DEFAULT = 3
"""Replicas of each partition, as far as there are brokers."""

TELEMETRY_RETENTION_MS = 60 * 60 * 1000

MAKE_MS_MAX = 30_000
"""After this long, topics that are not there yet are given up."""

_RETRY_S = 0.05
_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_FOR_A_WHILE = {
    "cleanup.policy": "delete",
    "retention.ms": str(TELEMETRY_RETENTION_MS),
    "segment.ms": str(TELEMETRY_RETENTION_MS // 6),
}
# Time is what the writer says, also when its clock is wrong, and a batch of BATCH_BYTES_MAX fits. The broker unpacks
# what was sent packed: readers need no further library, and a small batch that stands for a vast one is refused.
_ALL = {
    "compression.type": "uncompressed",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str(2**63 - 1),
    "max.message.bytes": str(1024 * 1024 + 12),
}


async def open_topics(
    settings: KafkaSettings, namespace: str, *, partitions: int | None, replication: int | None, make: bool = True
) -> int:
    """Make the topics that are missing and return the partitions of each.

    `partitions` counts for a new namespace (default 8); one that has another raises NamespaceMismatch. Unless they may
    be made, topics that are missing raise Refused.
    Several processes may do this at once: whoever makes the first topic has chosen for all.
    """
    admin = AIOKafkaAdminClient(**settings.options(MAKE_MS_MAX))
    with failures(settings.bootstrap):
        try:
            async with asyncio.timeout(settings.connect_ms_max / 1000):
                await admin.start()
            async with asyncio.timeout(MAKE_MS_MAX / 1000):
                return await _Topics(admin, namespace, replication).open(partitions, make)
        finally:
            await admin.close()


class _Topics:
    """One namespace, seen through an admin client."""

    def __init__(self, admin: AIOKafkaAdminClient, namespace: str, replication: int | None) -> None:
        self._admin = admin
        self._namespace = namespace
        self._replication = replication

    async def open(self, partitions: int | None, make: bool) -> int:
        counts = await self._counts()
        first, *others = CHANNELS
        if not make and counts.keys() < set(CHANNELS):
            raise Refused(f"there is no namespace {self._namespace!r} on these brokers")
        if first not in counts:
            await self._make([first], partitions or PARTITIONS_DEFAULT)
            counts = await self._ready([first])
        if missing := [channel for channel in others if channel not in counts]:
            await self._make(missing, counts[first])
            counts = await self._ready(CHANNELS)
        self._check(counts, partitions)
        return counts[first]

    async def _counts(self) -> dict[str, int]:
        """Partitions of each channel whose topic is there and can be used."""
        # Asked for by name, a broker that makes topics by itself would make them, with settings of its own.
        found = {each["topic"]: each for each in await self._admin.describe_topics()}
        named = {channel: found.get(topic(self._namespace, channel)) for channel in CHANNELS}
        return {channel: len(each["partitions"]) for channel, each in named.items() if each and _is_ready(each)}

    async def _ready(self, channels: Collection[str]) -> dict[str, int]:
        # The brokers have no way to tell when a topic is there.
        while not set(channels) <= (counts := await self._counts()).keys():  # noqa: ASYNC110
            await asyncio.sleep(_RETRY_S)
        return counts

    async def _make(self, channels: Collection[str], partitions: int) -> None:
        brokers = len((await self._admin.describe_cluster())["brokers"])
        replicas = self._replication or min(REPLICATION_DEFAULT, brokers)
        names = {topic(self._namespace, channel): _configuration(channel, replicas) for channel in channels}
        wanted = [NewTopic(name, partitions, replicas, topic_configs=made_so) for name, made_so in names.items()]
        answer = await self._admin.create_topics(wanted)
        for name, code, *message in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise Refused(
                    f"the broker does not make the topic {name}: {error.__name__} {message[0] or ''}".rstrip()
                )

    def _check(self, counts: dict[str, int], partitions: int | None) -> None:
        wanted = partitions or counts[CHANNELS[0]]
        for channel, count in counts.items():
            if count != wanted:
                name = topic(self._namespace, channel)
                raise NamespaceMismatch(f"the topic {name} has {count} partitions, not {wanted}")


def _is_ready(described: dict[str, Any]) -> bool:
    partitions = described["partitions"]
    return not described["error_code"] and bool(partitions) and all(each["leader"] >= 0 for each in partitions)


def _configuration(channel: str, replicas: int) -> dict[str, str]:
    kept = _FOR_EVER if channel in STATE_CHANNELS else _FOR_A_WHILE
    return {**_ALL, **kept, "min.insync.replicas": "2" if replicas >= 3 else "1"}
