"""An embedded log seen by a process that does not own it: reads what is committed, writes nothing, takes no lock."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from bus.backends.admission import check_one_channel, check_partitions, check_position
from bus.backends.sqlite_file import StoredRows, locate, view
from bus.channel import NAMESPACE_DEFAULT, Partition
from bus.errors import Refused, Unavailable
from bus.log import Appender, Stored

T = TypeVar("T")

LOOK_S = 0.05
"""How often a reader at the end looks for more; nothing tells another process."""


class SqliteView:
    """A Log to read from. Its owner may be at work meanwhile, and may crash."""

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"view {rows.path.name}")
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path | str, *, namespace: str = NAMESPACE_DEFAULT, partitions: int | None = None
    ) -> "SqliteView":
        """Look at the log at a file or in a directory. Raises Unavailable where there is none, Refused for a file that
        is no log, NamespaceMismatch."""
        return cls(await asyncio.to_thread(_view, locate(path), namespace, partitions))

    @property
    def namespace(self) -> str:
        return self._rows.namespace

    @property
    def partitions(self) -> int:
        return self._rows.partitions

    async def appender(self) -> Appender:
        raise Refused(f"{self._rows.path} was opened to be read only")

    async def reader(self, positions: Mapping[Partition, int]) -> "SqliteViewReader":
        return SqliteViewReader(self, positions)

    async def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        check_partitions(partitions := list(partitions), self.partitions)
        return dict.fromkeys(partitions, 0)

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        check_partitions(partitions := list(partitions), self.partitions)
        ends = await self._run(self._rows.ends)
        return {partition: ends[partition] for partition in partitions}

    async def read(self, positions: Mapping[Partition, int], records_max: int) -> dict[Partition, list[Stored]]:
        """What is committed from these positions on. Raises OffsetOutOfRange."""
        return await self._run(self._read, dict(positions), records_max)

    def check_open(self) -> None:
        """Raises Unavailable once the view was closed."""
        if self._closed:
            raise Unavailable(f"the view of {self._rows.path} was closed")

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._thread.shutdown)
            self._rows.close()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        self.check_open()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except apsw.Error as error:
            raise Unavailable(f"{self._rows.path} cannot be read: {error}") from error

    def _read(self, positions: Mapping[Partition, int], records_max: int) -> dict[Partition, list[Stored]]:
        ends = self._rows.ends()
        found: dict[Partition, list[Stored]] = {}
        for partition, position in positions.items():
            check_position(partition, position, 0, ends[partition])
            if position < ends[partition] and records_max > 0:
                found[partition] = self._rows.read(partition, position, ends[partition], records_max)
                records_max -= len(found[partition])
        return found


class SqliteViewReader:
    """Positions on a view."""

    def __init__(self, log: SqliteView, positions: Mapping[Partition, int]) -> None:
        self._log = log
        self._positions: dict[Partition, int] = {}
        self._closed = False
        self.seek(positions)

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._check_open()
        check_partitions(positions, self._log.partitions)
        check_one_channel({**self._positions, **positions})
        self._positions.update(positions)

    def drop(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> dict[Partition, list[Stored]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_ms / 1000
        while True:
            self._check_open()
            wanted = dict(self._positions)
            read = await self._log.read(wanted, records_max) if wanted else {}
            self._check_open()
            # Meanwhile a partition may have been dropped or moved.
            if found := {each: records for each, records in read.items() if self._positions.get(each) == wanted[each]}:
                self._advance(found)
                return found
            if (left := deadline - loop.time()) <= 0:
                return {}
            await asyncio.sleep(min(left, LOOK_S))

    def _advance(self, found: Mapping[Partition, list[Stored]]) -> None:
        for partition, records in found.items():
            # Behind the others from now on, so that a busy partition starves none.
            del self._positions[partition]
            self._positions[partition] = records[-1].offset + 1

    async def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        self._log.check_open()
        if self._closed:
            raise Unavailable("the reader was closed")


def _view(path: Path, namespace: str, partitions: int | None) -> StoredRows:
    try:
        return view(path, namespace=namespace, partitions=partitions)
    except apsw.NotADBError as error:
        raise Refused(f"{path} is no log of ours: {error}") from error
    except (OSError, apsw.Error) as error:
        raise Unavailable(f"{path} cannot be opened: {error}") from error
