"""Replay: decide again, with today's code, all that a stored log says was decided, and tell what would differ.

Each recorded decision is taken once more from its cause (a record, or a deadline), its recorded time and the state
before it. What is compared is what counts: types, ids, keys, traces and bytes. State goes on from the recorded facts,
so one difference does not hide the next. Nothing is written and no effect is run.

An input that led to no fact was decided somewhere between the decisions around it. It is reported only if today's code
would conclude something at every state between them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bus.channel import Partition, Position
from bus.codec import Codec
from bus.decider import Role
from bus.decision import Decision, Decisions, Said, UnreadableFact
from bus.difference import DECISION, SILENT, UNREADABLE, Difference, find_fault
from bus.ledger import Ledger
from bus.log import Log
from bus.recall import Recaller
from bus.record import Fact, Heard, InputQuarantined
from bus.redecision import Redecision, StoredBlobs
from bus.stored_input import Input, StoredInput, open_inputs

PAST_STATES_MAX = 2000
"""States kept for a channel that is seldom decided on; above it every second one is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recorded decision, and what of it and of the inputs before it would differ."""

    decision: Decision
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True)
class Count:
    """What a replay has been through."""

    facts: int = 0  # folded
    decisions: int = 0  # taken again
    silent: int = 0  # inputs that led to no fact
    unheard: int = 0  # inputs that nobody is known to have heard yet


class Replay:
    """One role on one partition of a stored log."""

    def __init__(
        self, log: Log, codec: Codec, blobs: StoredBlobs, role: Role[Any], number: int, *, homes: Mapping[str, str]
    ) -> None:
        self.role, self.home = role, Partition(role.home, number)
        self.state = role.initial()
        self.count = Count()
        self._log, self._codec, self._homes = log, codec, homes
        self._redecision = Redecision(role, self.home, codec, blobs, Recaller(log, codec))
        self._ledger = Ledger(log.partitions)
        self._past = _Past(role.inputs, self.state)
        self._inputs: Mapping[str, StoredInput] = {}

    async def steps(self, start: int = 0, end: int | None = None) -> AsyncIterator[Step]:
        """Decide again what was decided from `start` on and before `end`, both at home; a step for each decision.

        A decision that lies across `start` is one of them, one that lies across `end` is not.
        """
        home_end = (await self._log.ends([self.home]))[self.home]
        end = home_end if end is None else min(end, home_end)
        decisions = Decisions(self._log, self._codec, self.role.name, self.home)
        try:
            async for chunk in decisions.until(min(start, end)):
                for decision in chunk:
                    self._fold(decision)
            self._inputs = await open_inputs(
                self._log, self._codec, self.role, self.home.number, ledger=self._ledger, homes=self._homes
            )
            self._past = _Past(self.role.inputs, self.state)
            async for chunk in decisions.until(end):
                for decision in chunk:
                    yield await self._step(decision)
            if end == home_end:
                await self._count_unheard()
        except UnreadableFact as error:
            yield self._halted(error)
        finally:
            for each in self._inputs.values():
                await each.close()

    # The fold.

    def _fold(self, decision: Decision) -> None:
        self._ledger.note_cause(decision.cause)
        self._ledger.time_ms = max(self._ledger.time_ms, decision.time_ms)
        for said in decision.facts:
            self.count.facts += 1
            if isinstance(said.fact, Heard):
                self._ledger.note(said.fact, said.id, Position(*self.home, decision.offset), said.trace)
            elif not isinstance(said.fact, InputQuarantined):
                self.state = self._evolve(decision, said.fact)

    def _evolve(self, decision: Decision, fact: Fact) -> Any:
        try:
            return self.role.evolve(self.state, fact, decision.time_ms)
        except Exception as error:
            what = f"{self.role.name} cannot fold this {type(fact).__name__}: {type(error).__name__}: {error}"
            raise UnreadableFact(decision.offset, what) from error

    def _halted(self, error: UnreadableFact) -> Step:
        offset, time_ms = error.offset, self._ledger.time_ms
        decision = Decision(offset=offset, end=offset + 1, cause="", time_ms=time_ms, facts=())
        return Step(decision=decision, differences=(self._differ(UNREADABLE, decision, str(error)),))

    # One decision after the other.

    async def _step(self, decision: Decision) -> Step:
        differences: list[Difference] = []
        channel = ""
        if not decision.is_whole:
            differences.append(self._differ(DECISION, decision, "a part of this decision is missing"))
        elif not decision.cause:
            differences += await self._note_heard(decision)
        elif decision.cause.startswith("deadline:"):
            differences += await self._decide_deadline(decision)
        else:
            at = Position.parse(decision.cause)
            channel = at.channel
            differences += await self._decide_input(decision, at)
        self.count.decisions += bool(decision.cause)
        self._fold(decision)
        self._past.add(self.state, decision.time_ms, channel)
        return Step(decision=decision, differences=tuple(differences))

    async def _decide_deadline(self, decision: Decision) -> list[Difference]:
        name, _, at = decision.cause.removeprefix("deadline:").rpartition("@")
        first = self.role.deadlines(self.state).first()
        if first != (int(at), name):
            found = f"{first[1]} at {first[0]}" if first else "none"
            return [self._differ(DECISION, decision, f"its next deadline would be {found}, not {name} at {at}")]
        try:
            decided = await self._redecision.on_deadline(self.state, name, int(at), decision.time_ms)
        except Exception as error:  # noqa: BLE001 — what would halt the role is a difference to tell
            return [self._differ(DECISION, decision, f"it could not decide: {type(error).__name__}: {error}")]
        return self._compare(decision, decided)

    async def _decide_input(self, decision: Decision, at: Position) -> list[Difference]:
        channel = self._inputs.get(at.channel)
        if channel is None or at.number != self.home.number:
            return [self._differ(DECISION, decision, f"{self.role.name} does not hear {at}")]
        heard = await channel.take(at.offset + 1)
        before = [each for each in heard if each.at != at]
        differences = await self._pass(before, decision)
        if not heard or heard[-1].at != at:
            return [*differences, self._differ(DECISION, decision, f"{self.role.name} would not hear {at}")]
        decided = await self._redecision.on_input(self.state, heard[-1], decision.time_ms)
        return [*differences, *self._compare(decision, decided)]

    def _compare(self, decision: Decision, decided: tuple[Said, ...]) -> list[Difference]:
        fault = find_fault(decision.facts, decided)
        return [self._differ(DECISION, decision, fault, decided)] if fault else []

    # Inputs that led to no fact.

    async def _note_heard(self, decision: Decision) -> list[Difference]:
        """All inputs up to here were heard, also those that led to nothing."""
        differences: list[Difference] = []
        for said in decision.facts:
            for place in said.fact.inputs if isinstance(said.fact, Heard) else ():
                if channel := self._inputs.get(place.channel):
                    differences += await self._pass(await channel.take(place.offset), decision)
                    self._past.mark(place.channel)
        return differences

    async def _pass(self, inputs: Iterable[Input], decision: Decision) -> list[Difference]:
        """Inputs that were heard before this decision and led to nothing."""
        differences = []
        for each in inputs:
            self.count.silent += 1
            if each.halts:
                raise UnreadableFact(decision.offset, f"it would halt at {each.at}: {each.error}")
            if decided := await self._would_decide(each):
                what = f"{each.at} led to no fact, and now would lead to {len(decided)}"
                differences.append(self._differ(SILENT, decision, what, decided, cause=str(each.at)))
        return differences

    async def _would_decide(self, each: Input) -> tuple[Said, ...]:
        """What it would conclude now, if it would conclude something at every state at which it can have been heard."""
        latest: tuple[Said, ...] = ()
        for state, time_ms in self._past.since(each.at.channel):
            latest_now = await self._redecision.on_input(state, each, max(time_ms, each.stored.time_ms))
            if not latest_now:
                return ()
            latest = latest or latest_now
        return latest

    async def _count_unheard(self) -> None:
        for channel in self._inputs.values():
            self.count.unheard += len(await channel.take(channel.end))

    def _differ(
        self, kind: str, decision: Decision, reason: str, decided: tuple[Said, ...] = (), *, cause: str = ""
    ) -> Difference:
        return Difference(
            kind=kind,
            role=self.role.name,
            home=self.home,
            offset=decision.offset,
            time_ms=decision.time_ms,
            cause=cause or decision.cause,
            reason=reason,
            expected=() if cause else decision.facts,
            decided=decided,
            lacking=self._redecision.lacking if decided else (),
        )


class _Past:
    """The states since each channel last led to a decision, the newest first."""

    def __init__(self, channels: Iterable[str], state: Any) -> None:
        self._states: list[tuple[Any, int]] = [(state, 0)]
        self._marks = dict.fromkeys(channels, 0)

    def add(self, state: Any, time_ms: int, channel: str) -> None:
        """A decision on an input of this channel, or of none, led to this state."""
        self._states.append((state, time_ms))
        self.mark(channel)
        if len(self._states) > PAST_STATES_MAX:
            self._forget()

    def mark(self, channel: str) -> None:
        """What comes of this channel from here on is heard at this state or a later one."""
        if channel in self._marks:
            self._marks[channel] = len(self._states) - 1

    def since(self, channel: str) -> Iterator[tuple[Any, int]]:
        yield from reversed(self._states[self._marks[channel] :])

    def _forget(self) -> None:
        first = min(self._marks.values())
        if first:
            self._states = self._states[first:]
            self._marks = {channel: mark - first for channel, mark in self._marks.items()}
        if len(self._states) > PAST_STATES_MAX // 2:
            self._states = [*self._states[:-1][::2], self._states[-1]]
            self._marks = {channel: mark // 2 for channel, mark in self._marks.items()}
