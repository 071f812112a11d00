"""The log as tables: rows and the position that they belong to, changed in one transaction, so that a crash neither
loses nor doubles anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, case, insert, select, text, update

from bus.channel import STATE_CHANNELS, Partition
from bus.fence import Fence
from bus.reader import Place
from services.audit import tables
from services.audit.batch import Batch
from services.audit.database import show_url, writer_for
from services.audit.tables import PROJECTION, metadata

logger = logging.getLogger(__name__)


class ProjectedElsewhere(Exception):
    """Another process writes the same rows, or they are of another log."""


class ReadModel:
    """One database that holds one log. Its calls block: make them in a thread."""

    def __init__(self, engine: Engine, namespace: str, partitions: int) -> None:
        self.engine, self._namespace, self._partitions = engine, namespace, partitions
        self._writer = writer_for(engine)

    @property
    def partitions(self) -> list[Partition]:
        """Those that are projected: all that are kept for ever."""
        return [Partition(channel, number) for channel in STATE_CHANNELS for number in range(self._partitions)]

    def prepare(self) -> None:
        """Bring the tables to their present shape, empty ones where there are none or where rows meant something else.

        Raises ProjectedElsewhere for a database of another log.
        """
        with self.engine.begin() as connection:
            _migrate(connection)
            found = connection.execute(select(tables.source)).one_or_none()
            if found is not None and (found.namespace, found.partitions) != (self._namespace, self._partitions):
                log = f"the namespace {found.namespace!r} with {found.partitions} partitions"
                raise ProjectedElsewhere(f"{show_url(self.engine)} holds {log}")
            if found is not None and found.projection != PROJECTION:
                logger.warning("%s was made by another version and is built anew", show_url(self.engine))
                _clear(connection)
            if found is None or found.projection != PROJECTION:
                self._begin(connection)

    def drop(self) -> None:
        """Forget everything; `prepare` and reading the log from its start make it again."""
        with self.engine.begin() as connection:
            metadata.drop_all(connection)
            connection.execute(text("DROP TABLE IF EXISTS alembic_version"))

    def _begin(self, connection: Connection) -> None:
        said = {"id": 1, "namespace": self._namespace, "partitions": self._partitions, "projection": PROJECTION}
        connection.execute(insert(tables.source).values(said))
        start = {"next": 0, "fences": {}, "log_end": 0, "time_ms": 0}
        rows = [{"channel": each.channel, "number": each.number, **start} for each in self.partitions]
        connection.execute(insert(tables.positions), rows)

    def places(self) -> dict[Partition, Place]:
        """Where reading goes on."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(tables.positions)).all()
        return {Partition(row.channel, row.number): Place(row.next, _fences(row.fences)) for row in rows}

    def apply(self, batch: Batch, ends: Mapping[Partition, int] | None = None) -> None:
        """Write a batch and the positions behind it. Raises ProjectedElsewhere and writes nothing if the positions are
        not those that the batch begins at.
        """
        with self.engine.begin() as connection:
            for partition, place in batch.places.items():
                self._move(connection, batch, partition, place, (ends or {}).get(partition, 0))
            if batch.records:
                self._writer.insert(connection, tables.records, batch.records)
            for table, rows in batch.rows().items():
                self._writer.upsert(connection, table, rows)

    @staticmethod
    def _move(connection: Connection, batch: Batch, partition: Partition, place: Place, end: int) -> None:
        at, start, end = tables.positions.c, batch.starts[partition], max(end, place.offset)
        moved = connection.execute(
            update(tables.positions)
            .where(at.channel == partition.channel, at.number == partition.number, at.next == start)
            .values(
                next=place.offset,
                fences={role: list(fence) for role, fence in place.fences.items()},
                log_end=case((at.log_end > end, at.log_end), else_=end),
                time_ms=batch.times.get(partition, at.time_ms),
            )
        )
        if moved.rowcount != 1:
            raise ProjectedElsewhere(f"{partition} does not stand at {start} any more: another process projects it")

    def note_ends(self, ends: Mapping[Partition, int]) -> None:
        """Remember where the log ends, for whoever asks how far behind the rows are."""
        at = tables.positions.c
        with self.engine.begin() as connection:
            for partition, end in ends.items():
                place = (at.channel == partition.channel, at.number == partition.number)
                connection.execute(update(tables.positions).where(*place, at.log_end < end).values(log_end=end))

    def lag(self) -> int:
        """Records that stand in the log and in no row, as far as is known."""
        at = tables.positions.c
        with self.engine.connect() as connection:
            rows = connection.execute(select(at.log_end, at.next)).all()
        return sum(max(0, row.log_end - row.next) for row in rows)


def _fences(said: Mapping[str, Any]) -> dict[str, Fence]:
    return {role: Fence(*fence) for role, fence in said.items()}


def _clear(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        connection.execute(table.delete())


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
