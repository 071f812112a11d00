"""Channels, their partitions and positions, and the one function that maps a key to a partition."""

from functools import lru_cache
from struct import iter_unpack
from typing import NamedTuple

STATE_CHANNELS = ("task", "event", "data", "review")
"""Channels that hold state: kept for ever, same partition count, heard by Deciders."""

CHANNELS = (*STATE_CHANNELS, "telemetry")

PARTITIONS_DEFAULT = 8
NAMESPACE_DEFAULT = "clawx"


class Partition(NamedTuple):
    """One partition of one channel."""

    channel: str
    number: int

    def __str__(self) -> str:
        return f"{self.channel}/{self.number}"


class Position(NamedTuple):
    """Where one record stands; orders records within a partition only."""

    channel: str
    number: int
    offset: int

    def __str__(self) -> str:
        return f"{self.channel}/{self.number}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what `str` wrote; raises ValueError with the text in it."""
        channel, number, offset = text.split("/")
        return cls(channel, int(number), int(offset))


def topic(namespace: str, channel: str) -> str:
    """Name of the Kafka topic of a channel."""
    return f"{namespace}.{channel}"


@lru_cache(maxsize=4096)
def partition_number(key: str, partitions: int) -> int:
    """Partition of a key: murmur2 as Kafka's Java client computes it, so that any Kafka producer agrees."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """32-bit MurmurHash2 with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for (word,) in iter_unpack("<I", data[:whole]):
        k = word * m & mask
        h = (h * m ^ (k ^ k >> 24) * m) & mask
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
