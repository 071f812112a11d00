"""Checks of a bank's raw log that share no code with the bus: headers split by hand, bodies read by fastavro alone."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import fastavro

from bus.channel import Partition
from bus.log import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
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


def lines(records: Mapping[Partition, Sequence[Stored]], schemas: Mapping[str, Any]) -> Iterator[Line]:
    """Every record that can be read."""
    for partition, log in sorted(records.items()):
        for stored in log:
            if line := _line(partition, stored, schemas):
                yield line


def _line(partition: Partition, stored: Stored, schemas: Mapping[str, Any]) -> Line | None:
    headers = {name: value.decode() for name, value in stored.headers}
    try:
        kind, role, session, epoch, seq, part, parts, cause = headers["clawx"].split("|", 7)
        body = fastavro.schemaless_reader(io.BytesIO(stored.value[10:]), schemas[headers["ce_type"]], None)
        numbers = [int(n) for n in (epoch, seq, part, parts)]
    except (KeyError, ValueError, EOFError, IndexError, TypeError, OverflowError, MemoryError):
        return None
    return Line(
        partition=partition,
        offset=stored.offset,
        type=headers["ce_type"],
        id=headers["ce_id"],
        kind=kind,
        role=role,
        session=session,
        epoch=numbers[0],
        seq=numbers[1],
        part=numbers[2],
        parts=numbers[3],
        cause=cause,
        body=body if isinstance(body, dict) else {},
        time_ms=stored.time_ms,
    )


def admitted(all_lines: Sequence[Line]) -> list[Line]:
    """Facts under the newest claim, in sequence (I5, the rule itself written a second time)."""
    claims: dict[tuple[str, Partition], tuple[str, int]] = {}
    nexts: dict[tuple[str, Partition], int] = {}
    counted = []
    for line in all_lines:
        place = (line.role, line.partition)
        if line.kind == "claim" and line.epoch == claims.get(place, ("", 0))[1] + 1:
            claims[place], nexts[place] = (line.session, line.epoch), 0
        elif line.kind == "fact" and claims.get(place) == (line.session, line.epoch):
            if nexts[place] == line.seq:
                nexts[place] += 1
                counted.append(line)
            else:
                nexts[place] = -1
    return counted


def problems(all_lines: Sequence[Line], asked: Sequence[tuple[str, str, int]]) -> Iterator[str]:
    """What must hold once all is quiet; nothing if it does."""
    facts = admitted(all_lines)
    yield from _ids(facts)
    yield from _decisions(facts)
    yield from _deposits(facts, asked)
    yield from _reminders(facts)
    yield from _posts(all_lines, facts)
    yield from _quarantine(all_lines, facts)


def _ids(facts: Sequence[Line]) -> Iterator[str]:
    for fact_id, count in Counter(f.id for f in facts).items():
        if count > 1:
            yield f"I11: id {fact_id} stands {count} times"


def _decisions(facts: Sequence[Line]) -> Iterator[str]:
    """Whole, each cause once for each role, time never going back."""
    by_place: dict[tuple[str, Partition], list[Line]] = defaultdict(list)
    for fact in facts:
        by_place[fact.role, fact.partition].append(fact)
    for place, said in by_place.items():
        causes = Counter(f.cause for f in said if f.part == 0 and f.cause)
        yield from (f"I2: {place} decided {cause} {n} times" for cause, n in causes.items() if n > 1)
        for before, after in pairwise(said):
            if after.part and (after.cause, after.part) != (before.cause, before.part + 1):
                yield f"I3: torn decision of {place} at offset {after.offset}"
            if after.time_ms < before.time_ms:
                yield f"I10: time of {place} goes back at offset {after.offset}"
        yield from (f"I3: decision cut short of {place}" for f in said[-1:] if f.part + 1 != f.parts)


def _deposits(facts: Sequence[Line], asked: Sequence[tuple[str, str, int]]) -> Iterator[str]:
    """Each ask has exactly one end in each step, and totals add up in order."""
    wanted = {ask_id: (workspace, amount) for ask_id, workspace, amount in asked if amount != 13}
    for step in ("Deposited", "Forwarded", "Stored"):
        ends = Counter(f.body["ask_id"] for f in facts if f.type == step)
        for ask_id in wanted.keys() | ends.keys():
            if ends[ask_id] != (ask_id in wanted):
                yield f"I1: {ask_id} has {ends[ask_id]} {step}"
    totals: Counter[str] = Counter()
    for fact in facts:
        if fact.type == "Deposited":
            totals[fact.body["workspace_id"]] += fact.body["amount"]
            if fact.body["total"] != totals[fact.body["workspace_id"]]:
                yield f"I6: wrong total at {fact.partition}/{fact.offset}"


def _reminders(facts: Sequence[Line]) -> Iterator[str]:
    due = {f.body["ask_id"]: f.time_ms + 50 for f in facts if f.type == "Deposited" and f.body["amount"] == 50}
    acted = Counter(f.body["name"] for f in facts if f.type == "Reminded")
    yield from (f"I10: deadline {name} acted {acted[name]} times" for name in due if acted[name] != 1)
    for fact in facts:
        if fact.type == "Reminded" and fact.time_ms < due[fact.body["name"]]:
            yield f"I10: deadline {fact.body['name']} acted before its time"


def _posts(all_lines: Sequence[Line], facts: Sequence[Line]) -> Iterator[str]:
    """Every posted fact that counts was delivered, and nothing else was ever acted on."""
    homes = {str((f.partition.channel, f.partition.number, f.offset)): f for f in facts if f.type == "Forwarded"}
    delivered = set()
    for line in all_lines:
        if line.kind == "post":
            channel, number, offset = line.cause.split("/")
            home = str((channel, int(number), int(offset)))
            if home not in homes:
                yield f"I16: a post of a fact that does not count: {line.cause}"
            delivered.add(home)
    yield from (f"I1: post of {home} was never delivered" for home in homes.keys() - delivered)


def _quarantine(all_lines: Sequence[Line], facts: Sequence[Line]) -> Iterator[str]:
    inputs = Counter(f.body["input"] for f in facts if f.type == "InputQuarantined")
    yield from (f"I15: {place} was quarantined {count} times" for place, count in inputs.items() if count > 1)
    unlucky = {
        str((x.partition.channel, x.partition.number, x.offset))
        for x in all_lines
        if x.type == "DepositRequested" and x.kind == "ask" and x.body.get("amount") == 13
    }
    found = {str((p.split("/")[0], int(p.split("/")[1]), int(p.split("/")[2]))) for p in inputs}
    yield from (f"I15: {place} was not quarantined" for place in unlucky - found)
