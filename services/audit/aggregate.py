"""One aggregate of the system at any point of its log: found by its name, folded by its role, shown as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bus.channel import Partition, partition_number
from bus.codec import Codec
from bus.decider import Role
from bus.decision import offset_at
from bus.digest import digest_of
from bus.home_fold import HomeFold
from bus.log import Log
from bus.reader import START, FencedReader
from bus.record import Record
from services.allocator.pool import POOL
from services.audit.rehearsal import NOW, Point
from services.audit.rendering import render
from services.factory.instances import INSTANCES
from services.factory.professions import PROFESSIONS
from services.health.watch import WATCH
from services.orchestrator.artifacts import ARTIFACTS
from services.orchestrator.reviews import REVIEWS
from services.orchestrator.runs import RUNS
from services.records.event import SYSTEM_KEY, InstanceAccepted
from services.records.node import pool_key
from services.records.review import ReviewOpened
from services.records.task import RunStarted
from services.router.roster import ROSTER
from services.topology import ROLES


class NoSuchAggregate(Exception):
    """Nothing of that name stands in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How aggregates of one kind are found and seen."""

    role: Role[Any]
    pick: Callable[[Any, str], Any]  # what the state of the role holds of it; None where it holds nothing
    key: Callable[[str], str] | None = None  # its partition key, where its name tells
    begins: tuple[type[Record], str] | None = (
        None  # otherwise the fact that it begins with, and the field that names it
    )


def _pool(state: Any, name: str) -> Any:
    if name not in state.pools:
        return None
    pool, sessions = state.pools[name], state.sessions.items()
    return {
        "pool": pool,
        "sessions": {session: node for session, node in sessions if node.pool == name},
        "queued": {grant: request for grant, request in state.queued.items() if request.pool == name},
    }


def _watched(state: Any, owner_key: str) -> Any:
    found = {subject.subject: subject for subject in state.subjects.values() if subject.owner_key == owner_key}
    return found or None


KINDS: Mapping[str, Kind] = {
    "run": Kind(role=RUNS, pick=lambda state, name: state.live.get(name), begins=(RunStarted, "run_id")),
    "roster": Kind(role=ROSTER, pick=lambda state, name: state.workspaces.get(name), key=lambda name: name),
    "instance": Kind(
        role=INSTANCES, pick=lambda state, name: state.live.get(name), begins=(InstanceAccepted, "instance_id")
    ),
    "pool": Kind(role=POOL, pick=_pool, key=pool_key),
    "review": Kind(role=REVIEWS, pick=lambda state, name: state.open.get(name), begins=(ReviewOpened, "review_id")),
    "artifacts": Kind(role=ARTIFACTS, pick=lambda state, name: state.newest.get(name), key=lambda name: name),
    "profession": Kind(role=PROFESSIONS, pick=lambda state, name: state.newest.get(name), key=lambda name: SYSTEM_KEY),
    "watch": Kind(role=WATCH, pick=_watched, key=lambda name: name),
}
"""By the first word of a name: `run:ID`, `roster:WORKSPACE`, `pool:NAME`, `watch:KEY` …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An aggregate at a point."""

    name: str
    role: str
    home: Partition
    offset: int  # the state is the fold of what stands before it
    time_ms: int  # of the last fact folded
    state: Any  # as JSON; None where nothing of it is kept
    digest: str  # of it


async def find_state(log: Log, codec: Codec, name: str, point: Point = NOW) -> Found:
    """The state of `KIND:ID`, or of a whole role as `role:NAME/PARTITION`, at a point.

    Raises NoSuchAggregate where nothing of that name has ever begun. One that has ended has no state any more.
    """
    kind, _, rest = name.partition(":")
    if kind == "role":
        role, number = _role(rest, log.partitions)
        return await _fold(log, codec, name, role, number, point, lambda state: state)
    if kind not in KINDS or not rest:
        known = ", ".join(f"{each}:NAME" for each in KINDS)
        raise NoSuchAggregate(f"{name!r} names nothing; right would be {known} or role:NAME/PARTITION")
    found = KINDS[kind]
    number = partition_number(found.key(rest), log.partitions) if found.key else await _search(log, codec, found, rest)
    return await _fold(log, codec, name, found.role, number, point, lambda state: found.pick(state, rest))


def _role(text: str, partitions: int) -> tuple[Role[Any], int]:
    name, _, number = text.partition("/")
    role = next((role for role in ROLES if role.name == name), None)
    if role is None or not number.isdecimal() or int(number) >= partitions:
        names = ", ".join(role.name for role in ROLES)
        raise NoSuchAggregate(f"{text!r} is no role and partition below {partitions}; there are {names}")
    return role, int(number)


async def _search(log: Log, codec: Codec, kind: Kind, name: str) -> int:
    """The partition number where an aggregate began."""
    assert kind.begins is not None
    record, field = kind.begins
    places = {Partition(record.channel, number): START for number in range(log.partitions)}
    ends = await log.ends(places)
    reader = await FencedReader.open(log, codec, places, [record])
    try:
        while any(place.offset < ends[partition] for partition, place in reader.places().items()):
            for envelope in await reader.read():
                if getattr(envelope.record, field) == name and envelope.at is not None:
                    return envelope.at.number
    finally:
        await reader.close()
    raise NoSuchAggregate(f"the log has no {record.__name__} of {name}")


async def _fold(
    log: Log, codec: Codec, name: str, role: Role[Any], number: int, point: Point, pick: Callable[[Any], Any]
) -> Found:
    home = Partition(role.home, number)
    end = (await log.ends([home]))[home]
    if point.time_ms is not None:
        end = await offset_at(log, codec, role.name, home, point.time_ms)
    elif point.offset is not None:
        end = min(end, point.offset)
    fold = HomeFold(role, home, codec, log.partitions)
    await fold.read(log, end)
    state = pick(fold.state)
    return Found(
        name=name,
        role=role.name,
        home=home,
        offset=end,
        time_ms=fold.ledger.time_ms,
        state=render(state),
        digest=digest_of(state),
    )


def describe(found: Found) -> dict[str, object]:
    """What `state --json` prints."""
    return {
        "aggregate": found.name,
        "role": found.role,
        "position": f"{found.home}/{found.offset}",
        "time_ms": found.time_ms or None,
        "digest": found.digest,
        "state": found.state,
    }
