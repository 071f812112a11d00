"""A log whose readers hand out a record only once its schema is known: ids not met before are asked of the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from bus.assignment import Assignment
from bus.channel import Partition, topic
from bus.codec import Codec, schemas
from bus.framing import MAGIC, confluent, schema_id_of
from bus.log import Appender, Log, Reader, Stored
from bus.schema_registry import RegistrySettings, SchemaRegistry, subject

Chunks = Mapping[Partition, Sequence[Stored]]


class SharedLog(Log, Protocol):
    """A log that many processes share."""

    async def group(self, name: str) -> Assignment: ...


class LearningLog:
    """A shared log as it is written with a registry. Closing it closes the log below and the registry."""

    def __init__(self, log: SharedLog, codec: Codec, registry: SchemaRegistry) -> None:
        self._log, self._codec, self._registry = log, codec, registry

    @classmethod
    async def open(
        cls, log: SharedLog, codec: Codec, settings: RegistrySettings, *, writes: bool = True
    ) -> LearningLog:
        """Register the language, if anything is to be written, and let the codec write with the ids that it gets.

        Raises what the registry raises, and closes the log then.
        """
        learning = cls(log, codec, SchemaRegistry(settings))
        try:
            if writes:
                await _agree(log.namespace, codec, learning._registry)
        except BaseException:
            await learning.close()
            raise
        return learning

    @property
    def namespace(self) -> str:
        return self._log.namespace

    @property
    def partitions(self) -> int:
        return self._log.partitions

    async def appender(self) -> Appender:
        return await self._log.appender()

    async def reader(self, positions: Mapping[Partition, int]) -> LearningReader:
        return LearningReader(await self._log.reader(positions), self._learn)

    async def group(self, name: str) -> Assignment:
        return await self._log.group(name)

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return await self._log.starts(partitions)

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return await self._log.ends(partitions)

    async def close(self) -> None:
        await self._registry.close()
        await self._log.close()

    async def _learn(self, chunks: Chunks) -> None:
        """Ask for the ids that the codec does not know. An id that the registry does not know either is asked for
        again when it is met again, since it may have been given by then."""
        frames = {each.value[:5] for chunk in chunks.values() for each in chunk if each.value.startswith(MAGIC)}
        unknown = [schema_id_of(frame) for frame in frames if not self._codec.knows(frame)]
        if ids := [each for each in unknown if each is not None and each < 2**31]:
            for schema_id, schema in (await self._registry.schemas(ids)).items():
                if schema is not None:
                    self._codec.learn(confluent(schema_id), schema)


class LearningReader:
    """A Reader that keeps back what it has read until its schemas are known, also when the registry is away."""

    def __init__(self, reader: Reader, learn: Callable[[Chunks], Awaitable[None]]) -> None:
        self._reader, self._learn = reader, learn
        self._kept: dict[Partition, Sequence[Stored]] = {}

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._forget(positions)
        self._reader.seek(positions)

    def drop(self, partitions: Iterable[Partition]) -> None:
        gone = list(partitions)
        self._forget(gone)
        self._reader.drop(gone)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> Chunks:
        """As every Reader; raises Unavailable too while the registry is away, and goes on from there when called
        again."""
        if not self._kept:
            self._kept = dict(await self._reader.read(records_max=records_max, wait_ms=wait_ms))
        await self._learn(self._kept)
        taken, self._kept = self._kept, {}
        return taken

    async def close(self) -> None:
        await self._reader.close()

    def _forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._kept.pop(partition, None)


async def _agree(namespace: str, codec: Codec, registry: SchemaRegistry) -> None:
    """A type that stands on several channels has a subject on each, and the id of the first is written; any is read."""
    wanted = {}
    for name, schema in schemas(codec.types.values()).items():
        channel, _, kind = name.partition("/")
        wanted[subject(topic(namespace, channel), schema)] = (kind, schema)
    ids = await registry.register_all({name: schema for name, (_, schema) in wanted.items()})
    first: dict[str, int] = {}
    for name, (kind, schema) in wanted.items():
        first.setdefault(kind, ids[name])
        codec.learn(confluent(ids[name]), schema)
    codec.frame(first)
