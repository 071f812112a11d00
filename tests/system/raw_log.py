"""Reads a log record by record through the Log port and fastavro alone, and says which records count.

It shares no code with what decides and reads in the system: headers, framing and fences are read anew here, from what
the design says of them.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
from fastavro.schema import fingerprint, load_schema, to_parsing_canonical_form

from bus.address import view_log
from bus.channel import Partition
from bus.errors import Retryable
from bus.log import Log, Stored

logger = logging.getLogger(__name__)

CHANNELS = ("task", "event", "data", "review")
FINDS_S_MAX = 120.0
PAUSE_S = 0.2
LINES_TOLD = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One record as it stands on the log. `counts` is what its fence says; asks and reports need none."""

    at: str
    channel: str
    number: int
    offset: int
    key: str
    time_ms: int
    type: str
    id: str
    kind: str  # ask, report, fact, claim or post
    role: str
    session: str
    epoch: int
    seq: int
    part: int
    parts: int
    cause: str
    body: Mapping[str, Any]
    counts: bool

    @property
    def said(self) -> bool:
        """Whether it is a fact that counts."""
        return self.kind == "fact" and self.counts

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


class Schema(NamedTuple):
    """An exported schema and the bytes that every record written with it starts with."""

    parsed: Any
    prefix: bytes


def read_schemas(root: Path) -> dict[str, Schema]:
    """The exported schemas by the name of their type."""
    found = {}
    for path in sorted(root.glob("*/*.avsc")):
        parsed = load_schema(str(path))
        mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
        found[path.stem] = Schema(parsed, b"\xc3\x01" + mark)
    return found


@dataclass(slots=True)
class Owner:
    """Who may speak for a role on a partition, as far as the log was read."""

    session: str = ""
    epoch: int = 0
    seq: int = 0
    broken: bool = False

    def admit(self, kind: str, session: str, epoch: int, seq: int) -> bool:
        """Whether a claim or a fact counts, and what follows from it for those behind."""
        if kind == "claim":
            if epoch != self.epoch + 1:
                return False
            self.session, self.epoch, self.seq, self.broken = session, epoch, 0, False
            return True
        if not self.epoch or self.broken or (session, epoch) != (self.session, self.epoch):
            return False
        if seq != self.seq:
            self.broken = True
            return False
        self.seq += 1
        return True


@dataclass(slots=True)
class RawLog:
    """All records of the state channels, each channel in its order; followed live until closed."""

    schemas: Mapping[str, Schema]
    log: Log
    lines: list[Line] = field(default_factory=list)
    by_type: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    by_at: dict[str, Line] = field(default_factory=dict)
    offsets: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _owners: dict[tuple[str, int, str], Owner] = field(default_factory=lambda: defaultdict(Owner))
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: BaseException | None = None

    def take(self, partition: Partition, chunk: Iterable[Stored]) -> None:
        """Take in what was read of a partition, in order."""
        for stored in chunk:
            line = self._read(partition, stored)
            self.lines.append(line)
            self.by_at[line.at] = line
            self.by_type[line.type].append(line)
            self.offsets[partition.channel, partition.number] = stored.offset + 1
        self._wake()

    def fail(self, task: asyncio.Task[None]) -> None:
        """Nothing more will be read, for this reason."""
        if not task.cancelled() and (error := task.exception()):
            self._failure = error
            self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _read(self, partition: Partition, stored: Stored) -> Line:
        at = f"{partition.channel}/{partition.number}/{stored.offset}"
        headers = {name: bytes(value).decode() for name, value in stored.headers}
        kind, role, session, epoch, seq, part, parts, cause = headers["clawx"].split("|", 7)
        type_ = headers["ce_type"]
        counts = True
        if kind in ("claim", "fact"):
            owner = self._owners[partition.channel, partition.number, role]
            counts = owner.admit(kind, session, int(epoch), int(seq))
        return Line(
            at=at,
            channel=partition.channel,
            number=partition.number,
            offset=stored.offset,
            key=bytes(stored.key).decode(),
            time_ms=stored.time_ms,
            type=type_,
            id=headers["ce_id"],
            kind=kind,
            role=role,
            session=session,
            epoch=int(epoch),
            seq=int(seq),
            part=int(part),
            parts=int(parts),
            cause=cause,
            body=_decode(self.schemas[type_], bytes(stored.value), f"{type_} at {at}"),
            counts=counts,
        )

    def of(self, *types: str, **fields: Any) -> list[Line]:
        """The records of these types that count and whose fields are so, each type in the order of reading."""
        found = (line for each in types for line in self.by_type.get(each, ()))
        return [line for line in found if line.counts and line.kind != "post" and _is_so(line, fields)]

    async def find(self, *types: str, after: int = 0, timeout_s: float = FINDS_S_MAX, **fields: Any) -> Line:
        """Wait for the first such record beyond the first `after` of them."""
        found: list[Line] = []

        def enough() -> bool:
            found[:] = self.of(*types, **fields)
            return len(found) > after

        what = f"{' or '.join(types)} with {fields} on the log, of which there are {len(found)}"
        await self.until(enough, timeout_s, what)
        return found[after]

    async def until(self, condition: Callable[[], object], timeout_s: float = FINDS_S_MAX, what: str = "") -> None:
        """Wait until something holds of what was read, looking whenever more was."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._failure:
                        raise self._failure
                    await self._moved.wait()
        except TimeoutError as error:
            raise AssertionError(f"not within {timeout_s:g} s: {what}\n{self.tail()}") from error

    async def catch_up(self) -> None:
        """Read on to where the log ends now, on every channel."""
        ends = await self.log.ends(
            Partition(channel, number) for channel in CHANNELS for number in range(self.log.partitions)
        )
        await self.until(
            lambda: all(self.offsets[p.channel, p.number] >= end for p, end in ends.items()), what="the end"
        )

    def tail(self, count: int = 60) -> str:
        """The last records, for whoever looks into a failure."""
        return "\n".join(_told(line) for line in self.lines[-count:])


def _is_so(line: Line, fields: Mapping[str, Any]) -> bool:
    """Whether all these fields are in its body, or in the work within it, and are so."""
    body = {**(line.body.get("work") or {}), **line.body}
    return all(name in body and body[name] == value for name, value in fields.items())


def _told(line: Line) -> str:
    names = ("run_id", "stage", "execution", "instance_id", "attempt_id", "status", "reason", "session", "epoch")
    work = line.body.get("work") or {}
    told = " ".join(f"{name}={str(value)[:60]}" for name in names if (value := line.body.get(name) or work.get(name)))
    mark = "" if line.counts else " (ignored)"
    return f"{line.at:>12} {line.time_ms % 1_000_000:>6} {line.kind:6} {line.type}{mark} <- {line.cause or '-'} {told}"


def _decode(schema: Schema, value: bytes, what: str) -> dict[str, Any]:
    assert value.startswith(schema.prefix), f"{what} was not written with the exported schema"
    source = io.BytesIO(value)
    source.seek(len(schema.prefix))
    body: Any = fastavro.schemaless_reader(source, schema.parsed, None)
    assert source.tell() == len(value), f"{what} has bytes behind its body"
    return dict(body)


@asynccontextmanager
async def following(url: str, namespace: str, schemas: Mapping[str, Schema]) -> AsyncIterator[RawLog]:
    """Follow a log from its start on; the last records are printed when the block fails."""
    log = await view_log(url, namespace=namespace)
    raw = RawLog(schemas, log)
    tasks = [asyncio.create_task(_follow(log, channel, raw)) for channel in CHANNELS]
    for task in tasks:
        task.add_done_callback(raw.fail)
    try:
        yield raw
    except BaseException:
        logger.error("the end of the log:\n%s", raw.tail(LINES_TOLD))
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await log.close()


async def _follow(log: Log, channel: str, raw: RawLog) -> None:
    reader = await log.reader({Partition(channel, number): 0 for number in range(log.partitions)})
    try:
        while True:
            try:
                for partition, chunk in (await reader.read()).items():
                    raw.take(partition, chunk)
            except Retryable:
                with suppress(TimeoutError):  # until the broker answers again
                    await asyncio.wait_for(asyncio.Event().wait(), PAUSE_S)
    finally:
        await reader.close()


async def read_all(url: str, namespace: str, schemas: Mapping[str, Schema]) -> RawLog:
    """The whole log as it stands, whoever owns it; what is written meanwhile may be in it or not."""
    async with following(url, namespace, schemas) as raw:
        await raw.catch_up()
        return raw
