"""A log that stands in memory as it was recorded, to be read and nothing else."""

from collections.abc import Iterable, Mapping, Sequence

from bus.channel import Partition
from bus.log import Appender, Stored

Records = Mapping[Partition, Sequence[Stored]]


class StoredLog:
    """A Log over lists of records."""

    namespace = "stored"

    def __init__(self, records: Records, partitions: int) -> None:
        self.records, self.partitions = records, partitions

    async def appender(self) -> Appender:
        raise AssertionError("nothing may be written here")

    async def reader(self, positions: Mapping[Partition, int]) -> "StoredReader":
        return StoredReader(self.records, positions)

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {partition: len(self.records.get(partition, ())) for partition in partitions}

    async def close(self) -> None:
        pass


class StoredReader:
    """Gives few records at a time, so that whatever spans two chunks is met."""

    def __init__(self, records: Records, positions: Mapping[Partition, int]) -> None:
        self._records, self._positions = records, dict(positions)

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._positions |= positions

    def drop(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> dict[Partition, Sequence[Stored]]:
        found: dict[Partition, Sequence[Stored]] = {}
        for partition, position in self._positions.items():
            if chunk := self._records[partition][position : position + min(records_max, 7)]:
                found[partition] = chunk
                self._positions[partition] = chunk[-1].offset + 1
        assert found, f"nothing comes behind {self._positions}"
        return found

    async def close(self) -> None:
        pass
