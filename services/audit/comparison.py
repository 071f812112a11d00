"""Two things side by side: values as JSON, path by path, and logs, record by record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bus.channel import CHANNELS, Partition
from bus.codec import Codec
from bus.errors import Undecodable
from bus.home_fold import chunks_until
from bus.log import Log, Stored

ABSENT = object()
"""Stands where one side has nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A place at which two values differ; `ABSENT` on the side that lacks it."""

    path: str
    left: Any
    right: Any


def compare(left: Any, right: Any, path: str = "") -> Iterator[Change]:
    """Every place at which two JSON values differ, in the order of the paths."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for name in sorted(left.keys() | right.keys()):
            inner = f"{path}.{name}" if path else str(name)
            yield from compare(left.get(name, ABSENT), right.get(name, ABSENT), inner)
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            yield from compare(_at(left, index), _at(right, index), f"{path}[{index}]")
    elif left != right or type(left) is not type(right):
        yield Change(path=path, left=left, right=right)


def _at(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else ABSENT


def describe_change(change: Change) -> dict[str, object]:
    """A line of `diff --json`; a side that lacks it is left out."""
    sides = {"left": change.left, "right": change.right}
    return {"path": change.path, **{side: value for side, value in sides.items() if value is not ABSENT}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Where two logs part on one partition: the first offset at which they differ, and what stands there."""

    partition: Partition
    offset: int
    left: Stored | None
    right: Stored | None


class LogsDiffer(Exception):
    """Two logs that cannot be compared record by record."""


async def compare_logs(left: Log, right: Log) -> AsyncIterator[Parting]:
    """The first record of each partition that is not byte for byte the same in both."""
    if left.partitions != right.partitions:
        raise LogsDiffer(f"one log has {left.partitions} partitions a channel, the other {right.partitions}")
    for channel in CHANNELS:
        for number in range(left.partitions):
            if parting := await _compare_partition(left, right, Partition(channel, number)):
                yield parting


async def _compare_partition(left: Log, right: Log, partition: Partition) -> Parting | None:
    ours, theirs = _records(left, partition), _records(right, partition)
    while True:
        a, b = await anext(ours, None), await anext(theirs, None)
        if a is None and b is None:
            return None
        if a is None or b is None or not _is_same(a, b):
            offset = min(each.offset for each in (a, b) if each is not None)
            return Parting(partition=partition, offset=offset, left=a, right=b)


async def _records(log: Log, partition: Partition) -> AsyncIterator[Stored]:
    start, end = (await log.starts([partition]))[partition], (await log.ends([partition]))[partition]
    async for chunk in chunks_until(log, partition, start, end):
        for stored in chunk:
            yield stored


def _is_same(a: Stored, b: Stored) -> bool:
    return (a.offset, a.key, a.value, a.time_ms) == (b.offset, b.key, b.value, b.time_ms) and list(a.headers) == list(
        b.headers
    )


def describe_parting(parting: Parting, codec: Codec) -> dict[str, object]:
    """A line of `diff --json` of two logs."""
    return {
        "position": f"{parting.partition}/{parting.offset}",
        "left": _describe(parting.left, codec),
        "right": _describe(parting.right, codec),
    }


def _describe(stored: Stored | None, codec: Codec) -> dict[str, object] | None:
    if stored is None:
        return None
    try:
        peek = codec.peek(stored)
    except Undecodable as error:
        return {"time_ms": stored.time_ms, "undecodable": str(error)}
    kind, role = peek.origin.kind, peek.origin.role or None
    return {"type": peek.type, "id": peek.id, "kind": kind, "role": role, "time_ms": stored.time_ms}
