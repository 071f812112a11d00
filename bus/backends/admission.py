"""What every log checks before it takes a batch or a partition, so that all refuse the same things."""

from collections.abc import Iterable, Sequence

from bus.channel import CHANNELS, Partition
from bus.errors import OffsetOutOfRange, RecordTooLarge, Refused
from bus.log import BATCH_BYTES_MAX, RECORD_BYTES_MAX, Raw, size


def check_batch(records: Sequence[Raw]) -> None:
    """Raises ValueError for an empty batch, RecordTooLarge for one over a limit."""
    if not records:
        raise ValueError("a batch needs at least one record")
    total = 0
    for index, record in enumerate(records):
        total += (length := size(record))
        if length > RECORD_BYTES_MAX:
            raise RecordTooLarge(f"record {index} has {length} bytes, RECORD_BYTES_MAX is {RECORD_BYTES_MAX}")
    if total > BATCH_BYTES_MAX:
        raise RecordTooLarge(f"the batch has {total} bytes, BATCH_BYTES_MAX is {BATCH_BYTES_MAX}")


def check_partitions(partitions: Iterable[Partition], count: int) -> None:
    """Raises Refused for a partition that a namespace with `count` partitions a channel does not have."""
    for partition in partitions:
        if partition.channel not in CHANNELS:
            raise Refused(f"no channel {partition.channel!r}; there are {', '.join(CHANNELS)}")
        if not 0 <= partition.number < count:
            raise Refused(f"no partition {partition}; the namespace has {count} a channel, numbered from 0")


def check_one_channel(partitions: Iterable[Partition]) -> None:
    """Raises ValueError when the partitions are of several channels, which no reader may mix."""
    if len(channels := {partition.channel for partition in partitions}) > 1:
        raise ValueError(f"a reader reads one channel, not {', '.join(sorted(channels))}")


def check_position(partition: Partition, position: int, start: int, end: int) -> None:
    """Raises OffsetOutOfRange unless start <= position <= end."""
    if not start <= position <= end:
        raise OffsetOutOfRange(f"{partition} holds offsets {start} to {end - 1}, {position} was to be read")
