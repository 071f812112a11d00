"""Membership in a consumer group that shares out partition numbers; it never fetches a record."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from bus.backends.kafka_failures import failures, refusal
from bus.backends.kafka_reader import REQUEST_MS_MAX, stop_consumer
from bus.backends.kafka_settings import KafkaSettings
from bus.backends.kafka_sharing import Sharing
from bus.errors import BusError

_BEATS_A_SESSION = 6
_POLL_MS = 60_000
_REJOIN_S = 1.0

_logger = logging.getLogger(__name__)


class KafkaGroup:
    """An Assignment. The client loses all in a rebalance and gets most of it back; `watch` tells only the end."""

    def __init__(self, settings: KafkaSettings, group: str, topic: str) -> None:
        self._settings = settings
        self._group = group
        self._topic = topic
        self._sharing = Sharing()
        self._consumer: AIOKafkaConsumer | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._numbers: frozenset[int] | None = None
        self._failure: BusError | None = None
        self._changed = asyncio.Event()
        self._closed = False

    @classmethod
    async def join(cls, settings: KafkaSettings, group: str, topic: str) -> "KafkaGroup":
        """Ask to be a member; what the first share is, `watch` tells. Raises Unavailable when no broker answers."""
        joined = cls(settings, group, topic)
        await joined._join()
        joined._keeper = asyncio.get_running_loop().create_task(joined._stay())
        return joined

    async def watch(self) -> AsyncIterator[frozenset[int]]:
        given: frozenset[int] | None = None
        while not self._closed:
            if self._failure:
                raise self._failure
            if self._numbers is not None and self._numbers != given:
                given = self._numbers
                yield given
            else:
                changed = self._changed
                await changed.wait()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._tell()
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        await self._leave()

    def settle(self, numbers: frozenset[int]) -> None:
        """Take note of what the group agreed on."""
        self._numbers = numbers
        self._tell()

    async def _join(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.options(REQUEST_MS_MAX),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=self._settings.session_ms_max,
            heartbeat_interval_ms=self._settings.session_ms_max // _BEATS_A_SESSION,
            partition_assignment_strategy=(self._sharing,),
        )
        with failures(self._settings.bootstrap):
            try:
                async with asyncio.timeout(self._settings.connect_ms_max / 1000):
                    await consumer.start()
            except BaseException:
                await stop_consumer(consumer)
                raise
        consumer.subscribe([self._topic], listener=_Listener(self, consumer))
        self._consumer = consumer

    async def _stay(self) -> None:
        """Poll, which is how a member shows that it is alive and how it hears that its membership broke."""
        while True:
            try:
                if self._consumer is None:
                    await self._join()
                else:
                    await self._consumer.getmany(timeout_ms=_POLL_MS)
            except (BusError, KafkaError) as error:
                if refused := refusal(error.__cause__ if isinstance(error, BusError) and error.__cause__ else error):
                    self._failure = refused
                    self._tell()
                    return
                _logger.warning("group %s: joining anew after %r", self._group, error)
                await self._leave()
                await asyncio.sleep(_REJOIN_S)

    async def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the client library has no types
    """Hears the client's rebalances."""

    def __init__(self, group: KafkaGroup, consumer: AIOKafkaConsumer) -> None:
        self._group = group
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing: until the group agrees anew, whoever had a partition has it."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        for each in assigned:
            # With a position it need not look for one.
            self._consumer.seek(each, 0)
        self._group.settle(frozenset(each.partition for each in assigned))
