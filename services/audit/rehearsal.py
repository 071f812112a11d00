"""A whole log replayed: every role on every partition, one after the other or together in the order of time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bus.blob_cache import BlobReader
from bus.channel import Partition
from bus.codec import Codec
from bus.decider import Role
from bus.decision import Said, offset_at
from bus.difference import SILENT, Difference
from bus.log import Log
from bus.redecision import StoredBlobs
from bus.replay import Replay, Step
from bus.stored_post import StoredPosts


class Point(NamedTuple):
    """A place in a log: an offset at home of a role, or a time."""

    offset: int | None = None
    time_ms: int | None = None


BEGINNING, NOW = Point(offset=0), Point()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of a log is replayed."""

    roles: Sequence[Role[Any]]
    numbers: Sequence[int]
    start: Point = BEGINNING
    end: Point = NOW

    @property
    def is_whole(self) -> bool:
        return self.start == BEGINNING and self.end == NOW


@dataclass(slots=True)
class Outcome:
    """What a replay has been through and found: the first difference of each role and partition, and how many."""

    facts: int = 0
    decisions: int = 0
    silent: int = 0
    unheard: int = 0
    differing: int = 0  # recorded decisions and posts that would not be the same
    speaking: int = 0  # inputs that led to no fact, and now would
    firsts: list[Difference] = field(default_factory=list)
    _known: set[tuple[str, Partition, bool]] = field(default_factory=set)

    def note(self, difference: Difference) -> bool:
        """Count a difference; whether it is the first one of its kind in its place."""
        is_silent = difference.kind == SILENT
        self.speaking += is_silent
        self.differing += not is_silent
        place = difference.role, difference.home, is_silent
        if place in self._known:
            return False
        self._known.add(place)
        self.firsts.append(difference)
        return True


class Rehearsal:
    """Replays a stored log with today's roles. Reads only."""

    def __init__(self, log: Log, codec: Codec, blobs: BlobReader, homes: Mapping[str, str]) -> None:
        self._log, self._codec, self._homes = log, codec, homes
        self._blobs = StoredBlobs(blobs)
        self.outcome = Outcome()

    async def run(self, scope: Scope) -> AsyncIterator[Difference]:
        """The first difference of each role and partition, as they are found; `outcome` counts all."""
        posts = StoredPosts(self._log, self._codec, self._homes)
        for role in scope.roles:
            for number in scope.numbers:
                async for _, step in self._steps(role, number, scope):
                    for difference in step.differences:
                        if self.outcome.note(difference):
                            yield difference
                if scope.is_whole:
                    async for difference in posts.check(role, number):
                        if self.outcome.note(difference):
                            yield difference

    async def walk(self, scope: Scope) -> AsyncIterator[tuple[Replay, Step]]:
        """Every decision of all roles in the order of their times."""
        waiting: list[_Next] = []
        for role in scope.roles:
            for number in scope.numbers:
                waiting += await _next(self._steps(role, number, scope))
        while waiting:
            first = min(waiting, key=lambda each: each.place)
            waiting.remove(first)
            for difference in first.step.differences:
                self.outcome.note(difference)
            yield first.replay, first.step
            waiting += await _next(first.rest)

    async def _steps(self, role: Role[Any], number: int, scope: Scope) -> AsyncIterator[tuple[Replay, Step]]:
        replay = Replay(self._log, self._codec, self._blobs, role, number, homes=self._homes)
        start = await self._resolve(replay, scope.start)
        end = await self._resolve(replay, scope.end) if scope.end != NOW else None
        async for step in replay.steps(start, end):
            yield replay, step
        self.outcome.facts += replay.count.facts
        self.outcome.decisions += replay.count.decisions
        self.outcome.silent += replay.count.silent
        self.outcome.unheard += replay.count.unheard

    async def _resolve(self, replay: Replay, point: Point) -> int:
        if point.time_ms is not None:
            return await offset_at(self._log, self._codec, replay.role.name, replay.home, point.time_ms)
        return point.offset or 0


class _Next(NamedTuple):
    """The next decision of one replay, and those behind it."""

    replay: Replay
    step: Step
    rest: AsyncIterator[tuple[Replay, Step]]

    @property
    def place(self) -> tuple[int, str, int, int]:
        return self.step.decision.time_ms, self.replay.role.name, self.replay.home.number, self.step.decision.offset


async def _next(steps: AsyncIterator[tuple[Replay, Step]]) -> list[_Next]:
    async for replay, step in steps:
        return [_Next(replay, step, steps)]
    return []


def describe(difference: Difference) -> dict[str, object]:
    """One line of `replay --json`."""
    return {
        "kind": difference.kind,
        "role": difference.role,
        "partition": difference.home.number,
        "position": f"{difference.home}/{difference.offset}",
        "time_ms": difference.time_ms,
        "cause": difference.cause,
        "reason": difference.reason,
        "expected": [describe_said(said) for said in difference.expected],
        "decided": [describe_said(said) for said in difference.decided],
        "lacking": list(difference.lacking),
    }


def describe_said(said: Said) -> dict[str, object]:
    """A fact with its type and id."""
    return {"type": said.type, "id": said.id, "record": said.fact.model_dump(mode="json")}


def describe_step(replay: Replay, step: Step, write: Callable[[Said], object]) -> dict[str, object]:
    """One decision of a walk."""
    decision = step.decision
    return {
        "role": replay.role.name,
        "position": f"{replay.home}/{decision.offset}",
        "time_ms": decision.time_ms,
        "cause": decision.cause,
        "facts": [write(said) for said in decision.facts],
        "differences": [describe(difference) for difference in step.differences],
    }


def describe_outcome(outcome: Outcome) -> dict[str, object]:
    """The last line of `replay --json`."""
    return {
        "facts": outcome.facts,
        "decisions": outcome.decisions,
        "silent": outcome.silent,
        "unheard": outcome.unheard,
        "differing": outcome.differing,
        "speaking": outcome.speaking,
    }
