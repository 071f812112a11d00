"""Records on their way into the read model: the rows that they lead to, merged row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table

from bus.channel import Partition
from bus.codec import Codec, Peek
from bus.errors import Undecodable, UnknownRecordType
from bus.log import Stored
from bus.reader import Admission, Place
from bus.record import Envelope
from services.audit import tables
from services.audit.database import Row, json_text, plain, rows_of
from services.audit.projection import Change, project
from services.audit.tables import FIRST


class Batch:
    """What a transaction writes."""

    def __init__(self) -> None:
        self.records: list[Row] = []
        self.starts: dict[Partition, int] = {}  # offset of the first record taken in, for each partition
        self.places: dict[Partition, Place] = {}  # behind the last one
        self.times: dict[Partition, int] = {}  # of the last one
        self._rows: dict[Table, dict[tuple[Any, ...], dict[str, Any]]] = {}

    def __len__(self) -> int:
        return len(self.records)

    def add(self, change: Change) -> None:
        """Merge a change into its row."""
        table, firsts = change.table, _FIRSTS[change.table]
        columns = {name: plain(value) for name, value in change.columns.items() if value is not None}
        key = tuple([columns[name] for name in _KEYS[table]])
        row = self._rows.setdefault(table, {}).setdefault(key, {})
        for name, value in columns.items():
            if not (name in firsts and name in row):
                row[name] = value

    def rows(self) -> Mapping[Table, Sequence[Row]]:
        """Every row that is to be set, by table."""
        return {table: rows_of(table, rows.values()) for table, rows in self._rows.items()}


_KEYS = {table: tuple(column.name for column in table.primary_key) for table in tables.PROJECTED}
_FIRSTS = {
    table: frozenset(column.name for column in table.columns if column.info.get(FIRST)) for table in tables.PROJECTED
}


class Projector:
    """Makes batches of what is read, from a place of each partition on."""

    def __init__(self, codec: Codec, places: Mapping[Partition, Place]) -> None:
        self._codec = codec
        self._admissions = {partition: Admission(codec, place) for partition, place in places.items()}

    def make(self, chunks: Mapping[Partition, Iterable[Stored]]) -> Batch:
        """The batch of the next records of some partitions."""
        batch = Batch()
        for partition, chunk in chunks.items():
            admission = self._admissions[partition]
            batch.starts[partition] = admission.offset
            for stored, peek, counts in admission.admit(chunk):
                self._take(batch, partition, stored, peek, counts)
                batch.times[partition] = stored.time_ms
            batch.places[partition] = admission.place
        return batch

    def _take(self, batch: Batch, partition: Partition, stored: Stored, peek: Peek | Undecodable, counts: bool) -> None:
        if isinstance(peek, Undecodable):
            batch.records.append(_unread(partition, stored, str(peek)))
            return
        try:
            envelope = self._codec.decode(stored, peek, partition)
        except (Undecodable, UnknownRecordType) as error:
            batch.records.append(_record(partition, stored, peek, counts, None, str(error)))
            return
        body = json_text(envelope.record.model_dump_json())
        batch.records.append(_record(partition, stored, peek, counts, body, None))
        if counts:
            self._project(batch, envelope)

    @staticmethod
    def _project(batch: Batch, envelope: Envelope) -> None:
        for change in project(envelope):
            batch.add(change)


def _record(partition: Partition, stored: Stored, peek: Peek, counts: bool, body: str | None, fault: str | None) -> Row:
    origin = peek.origin
    said = (peek.type, origin.kind, origin.role, peek.id, origin.cause, peek.trace, _key(stored))
    return (*partition, stored.offset, counts, *map(plain, said), stored.time_ms, body, plain(fault))


def _unread(partition: Partition, stored: Stored, fault: str) -> Row:
    nothing = (None, None, None, None, None, None)
    return (*partition, stored.offset, False, *nothing, plain(_key(stored)), stored.time_ms, None, plain(fault))


def _key(stored: Stored) -> str:
    return stored.key.decode(errors="replace")
