"""Keeps the read model close behind the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from sqlalchemy.exc import DBAPIError, OperationalError

from bus.channel import STATE_CHANNELS, Partition
from bus.codec import Codec
from bus.errors import Retryable
from bus.log import Log, Reader, Stored
from bus.reader import Place
from services.audit.batch import Projector
from services.audit.read_model import ReadModel

logger = logging.getLogger(__name__)

BATCH_RECORDS_MAX = 4_000
"""Records of one transaction, about."""

ENDS_S = 1.0
"""How often it is asked where the log ends."""

TELL_S = 60.0
"""How often the lag is told."""

_RETRY_S = 1.0


class Follower:
    """Projects the state channels of a log, each at its own pace, one transaction at a time."""

    def __init__(self, log: Log, codec: Codec, model: ReadModel) -> None:
        self._log, self._codec, self._model = log, codec, model
        self._writing = asyncio.Lock()
        self._ends: Mapping[Partition, int] = {}
        self._next: dict[Partition, int] = {}
        self.records = 0  # taken in by this process
        self.caught_up = asyncio.Event()  # all that stood in the log at the beginning is in the tables

    @property
    def lag(self) -> int:
        """Records that stand in the log and in no row, as of the last look."""
        return sum(max(0, end - self._next.get(partition, 0)) for partition, end in self._ends.items())

    async def run(self) -> None:
        """For ever, or until it is cancelled. Raises ProjectedElsewhere when somebody else does the same."""
        await asyncio.to_thread(self._model.prepare)
        places = await asyncio.to_thread(self._model.places)
        self._next = {partition: place.offset for partition, place in places.items()}
        self._ends = await self._log.ends(places)
        first = dict(self._ends)
        async with asyncio.TaskGroup() as group:
            for channel in STATE_CHANNELS:
                mine = {partition: place for partition, place in places.items() if partition.channel == channel}
                group.create_task(self._follow(mine, first))
            group.create_task(self._look())
            group.create_task(self._tell())

    async def _follow(self, places: Mapping[Partition, Place], first: Mapping[Partition, int]) -> None:
        reader = await self._log.reader({partition: place.offset for partition, place in places.items()})
        projector = Projector(self._codec, places)
        try:
            while True:
                self._note_progress(first)
                if chunks := await self._read(reader):
                    await self._write(projector, chunks)
        finally:
            await reader.close()

    async def _read(self, reader: Reader) -> Mapping[Partition, Sequence[Stored]]:
        try:
            return await reader.read(records_max=BATCH_RECORDS_MAX)
        except Retryable as error:
            logger.warning("the log cannot be read yet: %s", error)
            await asyncio.sleep(_RETRY_S)
            return {}

    async def _write(self, projector: Projector, chunks: Mapping[Partition, Sequence[Stored]]) -> None:
        """The batch is written until it is; what a database that went away has done of it, it has done in full."""
        batch = projector.make(chunks)
        while True:
            try:
                async with self._writing:
                    await asyncio.to_thread(self._model.apply, batch, self._ends)
                break
            except DBAPIError as error:
                if not error.connection_invalidated and not isinstance(error, OperationalError):
                    raise
                logger.warning("the database cannot be written yet: %s", error.orig)
                await asyncio.sleep(_RETRY_S)
                if await self._is_written(batch.places):
                    break
        self.records += len(batch)
        self._next |= {partition: place.offset for partition, place in batch.places.items()}

    async def _is_written(self, places: Mapping[Partition, Place]) -> bool:
        try:
            found = await asyncio.to_thread(self._model.places)
        except DBAPIError:
            return False
        return all(found[partition].offset == place.offset for partition, place in places.items())

    def _note_progress(self, first: Mapping[Partition, int]) -> None:
        if all(self._next[partition] >= end for partition, end in first.items()):
            self.caught_up.set()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(ENDS_S)
            try:
                self._ends = await self._log.ends(self._next)
            except Retryable as error:
                logger.warning("the log cannot be asked for its ends: %s", error)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            async with self._writing:
                await asyncio.to_thread(self._model.note_ends, self._ends)
            logger.info("the read model is %d records behind the log, after %d", self.lag, self.records)
