"""A producer session on Kafka: one idempotent producer, one record batch for each append."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bus.backends.admission import check_batch, check_partitions
from bus.backends.kafka_failures import failures, refusal
from bus.backends.kafka_settings import KafkaSettings
from bus.channel import CHANNELS, Partition, topic
from bus.errors import AppendUnknown, BusError, RecordTooLarge, Unavailable
from bus.log import BATCH_BYTES_MAX, Raw

DISCARD_MS_MAX = 2_000
"""How long a producer that is thrown away may take to end."""

# What is counted by `size` is more than the wire format takes, except for many tiny headers.
_BUILDER_BYTES_MAX = BATCH_BYTES_MAX + 256 * 1024 - 1024

LetGo = Callable[["KafkaAppender", Coroutine[Any, Any, None]], None]
"""Told that an appender is at its end; sees to the work that is left, which nobody waits for."""


class KafkaAppender:
    """Sends one batch of a partition after the other; one that is not acknowledged in time is unknown."""

    def __init__(
        self, producer: AIOKafkaProducer, settings: KafkaSettings, namespace: str, partitions: int, let_go: LetGo
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._producer = producer
        self._seconds_max = settings.append_ms_max / 1000
        self._topics = {channel: topic(namespace, channel) for channel in CHANNELS}
        self._partitions = partitions
        self._let_go = let_go
        # Batches that the producer does not have yet: it takes one of a partition at a time.
        self._queues: dict[Partition, deque[tuple[Any, asyncio.Future[int]]]] = {}
        self._pumps: set[asyncio.Task[None]] = set()
        # All batches without an answer, oldest first, with the time at which each becomes unknown.
        self._deadlines: dict[asyncio.Future[int], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._spent: str | None = None
        self._closed = False

    @classmethod
    async def start(cls, settings: KafkaSettings, namespace: str, partitions: int, let_go: LetGo) -> "KafkaAppender":
        """Connect a producer."""
        producer = AIOKafkaProducer(
            **settings.options(settings.append_ms_max),
            enable_idempotence=True,
            max_batch_size=_BUILDER_BYTES_MAX,
        )
        with failures(settings.bootstrap):
            try:
                async with asyncio.timeout(settings.connect_ms_max / 1000):
                    await producer.start()
                    await producer.client.set_topics([topic(namespace, channel) for channel in CHANNELS])
            except BaseException:
                await _discard(producer)
                raise
        return cls(producer, settings, namespace, partitions, let_go)

    def append(self, partition: Partition, records: Sequence[Raw]) -> "asyncio.Future[int]":
        future: asyncio.Future[int] = self._loop.create_future()
        try:
            batch = self._batch(partition, records)
        except BusError as error:
            future.set_exception(error)
        else:
            self._expect(future)
            self._send(partition, batch, future)
        return future

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            if not self._spent:
                self._let_go(self, self._stop())

    def _batch(self, partition: Partition, records: Sequence[Raw]) -> Any:
        """The batch as bytes, or an error that says why it cannot be sent."""
        check_batch(records)
        if self._closed:
            raise Unavailable("the appender was closed")
        if self._spent:
            raise AppendUnknown(f"the appender is spent: {self._spent}")
        check_partitions((partition,), self._partitions)
        batch = self._producer.create_batch()
        for key, value, headers, time_ms in records:
            if batch.append(timestamp=time_ms, key=key, value=value, headers=list(headers)) is None:
                raise RecordTooLarge(f"the batch has over {_BUILDER_BYTES_MAX} bytes as Kafka counts them")
        batch.close()
        return batch

    def _send(self, partition: Partition, batch: Any, future: "asyncio.Future[int]") -> None:
        queue = self._queues.setdefault(partition, deque())
        queue.append((batch, future))
        if len(queue) == 1:
            pump = self._loop.create_task(self._pump(partition, queue))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, partition: Partition, queue: deque[tuple[Any, "asyncio.Future[int]"]]) -> None:
        """Hand over batches one by one; this alone keeps them in order."""
        name = self._topics[partition.channel]
        while queue:
            batch, future = queue[0]
            try:
                delivery = await self._producer.send_batch(batch, name, partition=partition.number)
            except KafkaError as error:
                self._spend(f"a batch could not be sent: {error!r}")
                return
            delivery.add_done_callback(partial(self._answered, future))
            queue.popleft()

    def _answered(self, future: "asyncio.Future[int]", delivery: "asyncio.Future[Any]") -> None:
        self._deadlines.pop(future, None)
        error = delivery.exception()
        if error is not None:
            if (refused := refusal(error)) and not future.done():
                future.set_exception(refused)
            # The producer has counted a batch that the broker has not, so that it refuses all that follow.
            self._spend(f"the broker answered {error!r}", future)
        elif delivery.result().offset < 0:
            self._spend("the broker has the batch but does not know where", future)
        elif not future.done():
            future.set_result(delivery.result().offset)

    def _expect(self, future: "asyncio.Future[int]") -> None:
        self._deadlines[future] = self._loop.time() + self._seconds_max
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds_max, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._timer = None
        if not self._deadlines:
            return
        oldest = next(iter(self._deadlines.values()))
        if oldest <= self._loop.time():
            self._spend(f"no acknowledgement within {self._seconds_max:g} s")
        else:
            self._timer = self._loop.call_at(oldest, self._check_deadlines)

    def _spend(self, reason: str, *more: "asyncio.Future[int]") -> None:
        """Give up all that has no answer, and the producer with it."""
        for future in (*more, *self._deadlines):
            if not future.done():
                future.set_exception(AppendUnknown(reason))
        self._deadlines.clear()
        self._queues.clear()
        for pump in self._pumps:
            pump.cancel()
        if not self._spent:
            self._spent = reason
            self._let_go(self, _discard(self._producer))

    async def _stop(self) -> None:
        """Wait for the answers, which come or are given up in time, then close the connections."""
        if self._deadlines:
            await asyncio.wait(self._deadlines)
        if not self._spent:
            await _discard(self._producer)


async def _discard(producer: AIOKafkaProducer) -> None:
    """End a producer without waiting for what it still has; its own `stop` would wait for a lost broker for ever."""
    producer._closed = True  # noqa: SLF001
    sending = producer._sender.sender_task  # noqa: SLF001
    for _ in range(2):
        # Cancelled once, it waits for requests under way; cancelled twice, it drops them.
        if sending and not sending.done():
            sending.cancel()
        await producer.client.close()
        if sending:
            await asyncio.wait((sending,), timeout=DISCARD_MS_MAX / 2000)
    await producer.client.close()
