"""A bank's raw log, read by code that shares nothing with the bus: headers split by hand, bodies by fastavro alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fastavro
from fastavro.schema import parse_schema

from bus.channel import Partition
from bus.codec import schemas
from bus.log import Stored
from tests.bus.bank import LANGUAGE

SCHEMAS = {name.split("/")[1]: parse_schema(schema) for name, schema in schemas(LANGUAGE).items()}

Place = tuple[str, Partition]
"""A role on its home partition."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record, as its bytes say."""

    partition: Partition
    offset: int
    type: str
    id: str
    kind: str
    role: str
    session: str
    epoch: int
    seq: int
    part: int
    parts: int
    cause: str
    body: Mapping[str, Any]
    time_ms: int

    @property
    def at(self) -> str:
        """Its position, as causes name it."""
        return f"{self.partition.channel}/{self.partition.number}/{self.offset}"

    @property
    def place(self) -> Place:
        """The role on its partition that said it."""
        return self.role, self.partition


def _line(partition: Partition, stored: Stored, schemas: Mapping[str, Any]) -> Line | None:
    try:
        headers = {name: value.decode() for name, value in stored.headers if value}
        kind, role, session, epoch, seq, part, parts, cause = headers["clawx"].split("|", 7)
        numbers = int(epoch), int(seq), int(part), int(parts)
        name, record_id = headers["ce_type"], headers["ce_id"]
        body = fastavro.schemaless_reader(io.BytesIO(stored.value[10:]), schemas[name], None)
    except (KeyError, ValueError, EOFError, IndexError, TypeError, OverflowError, MemoryError):
        return None
    fields = body if isinstance(body, dict) else {}
    return Line(partition, stored.offset, name, record_id, kind, role, session, *numbers, cause, fields, stored.time_ms)


@dataclass(slots=True)
class _Claim:
    """The newest claim of a role on a partition, as far as it was read."""

    session: str = ""
    epoch: int = 0
    next: int = 0
    broken: bool = True


@dataclass(slots=True)
class Book:
    """Everything readable in a log, and which facts count: those of the newest claim, in sequence (law 5, a second
    time). Reads on whenever it is asked to."""

    records: Mapping[Partition, Sequence[Stored]]
    lines: list[Line] = field(default_factory=list)
    facts: list[Line] = field(default_factory=list)  # that count
    schemas: Mapping[str, Any] = field(default_factory=lambda: SCHEMAS)
    _claims: dict[Place, _Claim] = field(default_factory=dict)
    _read: dict[Partition, int] = field(default_factory=dict)

    def read(self) -> list[Line]:
        """Read what is new; gives the facts in it that count."""
        new: list[Line] = []
        for partition in self.records:
            log, start = self.records[partition], self._read.get(partition, 0)
            for offset in range(start, len(log)):
                if line := _line(partition, log[offset], self.schemas):
                    self.lines.append(line)
                    new += [line] if self._counts(line) else []
            self._read[partition] = len(log)
        self.facts += new
        return new

    def _counts(self, line: Line) -> bool:
        if line.kind not in ("claim", "fact"):
            return False
        claim = self._claims.setdefault(line.place, _Claim())
        if line.kind == "claim":
            if line.epoch == claim.epoch + 1:
                self._claims[line.place] = _Claim(line.session, line.epoch, 0, broken=False)
            return False
        if claim.broken or (line.session, line.epoch) != (claim.session, claim.epoch):
            return False
        claim.broken = line.seq != claim.next
        claim.next += 1
        return not claim.broken
