"""A log with facts of every type that tables are made of, about few things, so that rows are met again and again."""

from __future__ import annotations

import random
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from bus.channel import Partition
from bus.codec import Codec
from bus.log import Stored
from bus.record import Claimed, Origin, Record, Value
from services.audit.projection import PROJECTIONS

CHANNELS = ("task", "event", "review", "data")
ROLE = "some.role"
_WORDS = ("", "a", "b", "stage", "ready", "nul \0 and \\u0000", "中文", 'quote " and \\', "tab\tand\nline")


class Author:
    """Writes random records of a language."""

    def __init__(self, codec: Codec, seed: int, partitions: int) -> None:
        self._codec, self._rng, self._partitions = codec, random.Random(seed), partitions
        self.records: dict[Partition, list[Stored]] = {}
        self._seqs: dict[Partition, int] = {}
        self._place = Partition("task", 0)
        for channel in CHANNELS:
            for number in range(partitions):
                partition = Partition(channel, number)
                self.records[partition] = []
                self._put(partition, Claimed(role=ROLE, session="s", epoch=1), Origin("claim", ROLE, "s", 1))

    def write(self, count: int) -> None:
        """So many records more: most of them facts that count, some that do not, some that nobody can read."""
        kinds = sorted(PROJECTIONS, key=lambda kind: kind.__name__)
        for _ in range(count):
            kind = self._rng.choice(kinds)
            # Whatever has a name belongs to one partition, as all aggregates do.
            partition = self._place = Partition(kind.channel, self._rng.randrange(self._partitions))
            match self._rng.randrange(20):
                case 0:
                    self._put(partition, self._make(kind), Origin("fact", ROLE, "zombie", 1, 0))
                case 1:
                    self.records[partition].append(
                        Stored(len(self.records[partition]), b"\xff", b"\xc3\x01garbage", (("ce_type", b"x"),), 1)
                    )
                case _:
                    seq = self._seqs.get(partition, 0)
                    self._seqs[partition] = seq + 1
                    origin = Origin("fact", ROLE, "s", 1, seq, cause=f"{partition}/{seq}")
                    self._put(partition, self._make(kind), origin)

    def _put(self, partition: Partition, record: Record, origin: Origin) -> None:
        log = self.records[partition]
        raw = self._codec.encode(
            record, record_id=f"{partition}/{len(log)}", origin=origin, time_ms=1_000 + len(log), trace="0" * 32
        )
        log.append(Stored(len(log), *raw))

    def _make(self, kind: type[Value]) -> Any:
        return kind(**{name: self._value(info.annotation, name) for name, info in kind.model_fields.items()})

    def _value(self, annotation: Any, name: str) -> Any:
        rng = self._rng
        if isinstance(annotation, type) and issubclass(annotation, Value):
            return self._make(annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return rng.choice((None, self._value(arguments[0], name)))
        if origin is tuple:
            return tuple(self._value(arguments[0], name) for _ in range(rng.randrange(3)))
        if origin is Mapping:
            return {rng.choice(_WORDS): self._value(arguments[1], name) for _ in range(rng.randrange(3))}
        if annotation is str:
            is_name = name.endswith(("_id", "name", "profession", "pool"))
            return f"{name}-{self._place.number}-{rng.randrange(4)}" if is_name else rng.choice(_WORDS)
        plain = {bool: rng.random() < 0.5, int: rng.randrange(4), float: rng.random(), bytes: rng.randbytes(3)}
        return plain[annotation]


def partitions_of(records: Mapping[Partition, Sequence[Stored]]) -> int:
    return 1 + max(partition.number for partition in records)
