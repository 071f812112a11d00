"""Positions on the partitions of one topic, read by a consumer of its own that belongs to no group."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from bus.backends.admission import check_one_channel, check_partitions
from bus.backends.kafka_failures import failures
from bus.backends.kafka_settings import KafkaSettings
from bus.channel import Partition, topic
from bus.errors import OffsetOutOfRange, Unavailable
from bus.log import Stored, gap_at

REQUEST_MS_MAX = 15_000
"""After this long without an answer a connection is given up and made anew."""

STOP_MS_MAX = 2_000
"""How long a consumer may take to leave its group and end; a session that was not left runs out by itself."""

_IDLE_CHECK_MS = 1_000

_LOOK_S = 1.0
"""How often a partition is looked at from which nothing comes while others are busy."""

_logger = logging.getLogger(__name__)

_make: Any = tuple.__new__


class _StoredRecords(PartitionRecords):  # type: ignore[misc]  # the client has no types here
    """What was fetched of a partition, as it is handed on. The client's own record, of eleven fields, and then ours
    took a tenth of the time of a process that only reads."""

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Stored:
        offset, key, value = record.offset, record.key or b"", record.value or b""
        stored: Stored = _make(Stored, (offset, key, value, tuple(record.headers), record.timestamp))
        return stored


class _Fetched(OrderedDict[TopicPartition, Any]):
    """Where the client puts what it fetched: the one place at which it can be told."""

    def __setitem__(self, tp: TopicPartition, found: Any) -> None:
        records = getattr(found, "_partition_records", None)
        if records is not None:
            records.__class__ = _StoredRecords
        super().__setitem__(tp, found)


async def start_consumer(settings: KafkaSettings, topics: Iterable[str]) -> AIOKafkaConsumer:
    """A consumer that fetches nothing yet but knows where the topics are; `getmany` gives Stored."""
    consumer = AIOKafkaConsumer(
        **settings.options(REQUEST_MS_MAX),
        auto_offset_reset="none",
        enable_auto_commit=False,
        fetch_max_wait_ms=settings.fetch_wait_ms,
        consumer_timeout_ms=_IDLE_CHECK_MS,
    )
    known = [TopicPartition(name, 0) for name in topics]
    consumer.assign(known)
    consumer.pause(*known)
    with failures(settings.bootstrap):
        try:
            async with asyncio.timeout(settings.connect_ms_max / 1000):
                await consumer.start()
        except BaseException:
            await stop_consumer(consumer)
            raise
    consumer._fetcher._records = _Fetched()  # noqa: SLF001 — nothing was fetched yet
    for each in known:
        consumer.seek(each, 0)
    return consumer


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """End a consumer, in about STOP_MS_MAX also when no broker answers, and also when the caller is cancelled."""
    stopping, cancelled = asyncio.get_running_loop().create_task(_stop(consumer)), None
    while not stopping.done():
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled


async def _stop(consumer: AIOKafkaConsumer) -> None:
    # The client's tasks must have begun before it can end them.
    await asyncio.sleep(0)
    stopping = asyncio.get_running_loop().create_task(consumer.stop())
    if not (await asyncio.wait((stopping,), timeout=STOP_MS_MAX / 1000))[0]:
        # Without its connections it gives up what it waits for.
        await consumer._client.close()  # noqa: SLF001
        await asyncio.wait((stopping,), timeout=STOP_MS_MAX / 1000)
    if stopping.done() and (error := stopping.exception()):
        _logger.warning("a consumer ended with %r", error)


def _garbled(consumer: AIOKafkaConsumer, error: UnicodeDecodeError) -> tuple[TopicPartition, int]:
    """Where the record stands that the client could not take: its iterator ended there before its time."""
    for each, found in consumer._fetcher._records.items():  # noqa: SLF001
        records = getattr(found, "_partition_records", None)
        if records is not None and records._records_iterator.gi_frame is None:  # noqa: SLF001
            return each, records.next_fetch_offset
    raise Unavailable("the client cannot take a record and does not tell where it stands") from error


def _filled(position: int, records: Iterable[Stored]) -> list[Stored]:
    """These records, and something for each offset from this position on that holds none."""
    filled: list[Stored] = []
    for stored in records:
        filled += [gap_at(offset) for offset in range(position, stored.offset)]
        filled.append(stored)
        position = stored.offset + 1
    return filled


class KafkaReader:
    """Keeps the positions itself, since the client forgets its own whenever partitions are added."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        namespace: str,
        partitions: int,
        forget: Callable[["KafkaReader"], None],
    ) -> None:
        self._consumer = consumer
        self._namespace = namespace
        self._partitions = partitions
        self._forget = forget
        self._positions: dict[Partition, int] = {}
        self._assigned: dict[TopicPartition, Partition] = {}
        self._look_at = 0.0
        self._closed = False

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._check_open()
        check_partitions(positions, self._partitions)
        check_one_channel({**self._positions, **positions})
        self._positions.update(positions)
        moved = {self._name(partition): partition for partition in positions}
        if moved.keys() - self._assigned.keys():
            self._assigned = {self._name(partition): partition for partition in self._positions}
            self._consumer.assign(list(self._assigned))
            moved = self._assigned
        for each, partition in moved.items():
            self._consumer.resume(each)
            # The client takes no negative offset; `read` finds it.
            self._consumer.seek(each, max(0, self._positions[partition]))

    def drop(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            if self._positions.pop(partition, None) is not None and not self._closed:
                self._consumer.pause(self._name(partition))

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> dict[Partition, list[Stored]]:
        self._check_open()
        for partition, position in self._positions.items():
            if position < 0:
                raise OffsetOutOfRange(f"{partition} has no offset {position}")
        try:
            fetched = await self._consumer.getmany(timeout_ms=wait_ms, max_records=records_max)
        except OffsetOutOfRangeError as error:
            missing = {self._assigned[each]: offset for each, offset in error.args[0].items()}
            partition, offset = missing.popitem()
            if self._positions.get(partition) == offset:
                raise OffsetOutOfRange(f"{partition} does not hold offset {offset}") from error
            return {}
        except UnicodeDecodeError as error:
            return await self._read_around(error, wait_ms)
        except KafkaError as error:
            raise Unavailable(f"reading fails: {error!r}") from error
        self._check_open()
        taken = self._taken(fetched)
        now = time.monotonic()
        if not taken or now >= self._look_at:
            self._look_at = now + _LOOK_S
            taken |= self._passed_over(taken)
        return taken

    async def _read_around(self, error: UnicodeDecodeError, wait_ms: int) -> dict[Partition, list[Stored]]:
        """What stands before a record that the client cannot take, or that record without its content.

        A header's name that is no UTF-8 fails the whole call of the client, which then passes over what it had.
        """
        each, offset = _garbled(self._consumer, error)
        partition = self._assigned[each]
        self.seek(dict(self._positions))
        if (before := offset - self._positions.get(partition, offset)) > 0:
            return self._taken(await self._consumer.getmany(each, timeout_ms=wait_ms, max_records=before))
        if partition not in self._positions:
            return {}
        _logger.warning("%s/%d has a header whose name is no text; it stands without its content", partition, offset)
        self.seek({partition: offset + 1})
        return {partition: [Stored(offset, b"", b"", (), 0)]}

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._forget(self)
            await stop_consumer(self._consumer)

    def _taken(self, fetched: Mapping[TopicPartition, list[Any]]) -> dict[Partition, list[Stored]]:
        taken = {}
        for each, records in fetched.items():
            partition, found = self._assigned[each], cast("list[Stored]", records)
            position, end = self._positions.get(partition, found[0].offset), found[-1].offset + 1
            taken[partition] = found if end - position == len(found) else _filled(position, found)
            self._positions[partition] = end
        return taken

    def _passed_over(self, taken: Mapping[Partition, list[Stored]]) -> dict[Partition, list[Stored]]:
        """Gaps that have no record behind them yet: only the client's positions tell of those."""
        found = {}
        assignment = self._consumer._subscription.subscription.assignment  # noqa: SLF001
        for each, partition in self._assigned.items():
            position = self._positions.get(partition)
            if position is None or partition in taken or position < 0:
                continue
            state = assignment.state_value(each)
            if state is not None and state.has_valid_position and state.position > position:
                found[partition] = [gap_at(offset) for offset in range(position, state.position)]
                self._positions[partition] = state.position
        return found

    def _name(self, partition: Partition) -> TopicPartition:
        return TopicPartition(topic(self._namespace, partition.channel), partition.number)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the reader was closed")
