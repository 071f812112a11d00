"""Every cause exists before its effect: what a cut-off partition breaks even where nobody signed anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from bus.channel import STATE_CHANNELS, Partition, Position
from bus.codec import Codec, Peek
from bus.home_fold import chunks_until
from bus.log import Log, Stored
from bus.reader import Admission


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A fact that counts, or a post, whose cause is not in the log or stands behind it."""

    at: Position
    cause: str
    reason: str


async def find_orphans(log: Log, codec: Codec) -> AsyncIterator[Orphan]:
    """All of them, partition by partition."""
    partitions = [Partition(channel, number) for channel in STATE_CHANNELS for number in range(log.partitions)]
    ends = await log.ends(partitions)
    for partition in partitions:
        start = (await log.starts([partition]))[partition]
        admission = Admission(codec)
        async for chunk in chunks_until(log, partition, start, ends[partition]):
            for stored, peek, counts in admission.admit(chunk):
                if counts and isinstance(peek, Peek) and (reason := _judge(partition, stored, peek, ends)):
                    yield Orphan(at=Position(*partition, stored.offset), cause=peek.origin.cause, reason=reason)


def _judge(partition: Partition, stored: Stored, peek: Peek, ends: Mapping[Partition, int]) -> str:
    cause = peek.origin.cause
    if peek.origin.kind not in ("fact", "post") or not cause or cause.startswith("deadline:"):
        return ""
    try:
        at = Position.parse(cause)
    except ValueError:
        return f"its cause {cause!r} is no position"
    end = ends.get(Partition(at.channel, at.number), 0)
    if at.offset >= end:
        return f"its cause {at} is not there: that partition ends at {end}"
    if (at.channel, at.number) == partition and at.offset >= stored.offset:
        return f"its cause {at} stands behind it"
    return ""
