"""The subjects that must keep their leases, as folded from the watch's own facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import fold_by_type
from bus.record import Fact
from bus.seen import Seen
from services.records.event import (
    AlarmCleared,
    AlarmRaised,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    SubjectUnwatched,
    SubjectWatched,
)

Phase = Literal["alive", "late", "lost"]

BUDGET = "budget:"
"""Before the subjects of alarms on budgets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One session and incarnation of an instance or a node."""

    subject: str
    owner_key: str
    session: str
    incarnation: int
    phase: Phase = "alive"
    seen_ms: int = 0  # what was proved last; older evidence is stale
    evidence: str = ""
    alarm_id: str = ""  # empty when none stands
    alarm_rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """All subjects of a partition, by `subject_name`, which is also the name of their deadline."""

    subjects: Map[str, Subject] = Map()
    spending: Map[str, str] = Map()  # alarms that stand on budgets, by `alarm_name`
    seen: Seen = Seen()  # those that are watched no more
    deadlines: Deadlines = Deadlines()


def subject_name(owner_key: str, subject: str) -> str:
    """What is watched under one name: an instance of a workspace, or a node of a pool."""
    return f"{owner_key} {subject}"


def alarm_name(owner_key: str, subject: str, rule: str) -> str:
    """An alarm on a budget."""
    return f"{owner_key} {subject} {rule}"


def epoch_name(owner_key: str, subject: str, session: str, incarnation: int) -> str:
    """One session and incarnation of it."""
    return f"{owner_key} {subject} {session} {incarnation}"


def _changed(state: Watched, fact: Any, **changes: Any) -> Watched:
    name = subject_name(fact.owner_key, fact.subject)
    return replace(state, subjects=state.subjects.set(name, replace(state.subjects[name], **changes)))


def _fold_watched(state: Watched, fact: SubjectWatched, time_ms: int) -> Watched:
    subject = Subject(
        subject=fact.subject, owner_key=fact.owner_key, session=fact.session, incarnation=fact.incarnation
    )
    return replace(state, subjects=state.subjects.set(subject_name(fact.owner_key, fact.subject), subject))


def _fold_unwatched(state: Watched, fact: SubjectUnwatched, time_ms: int) -> Watched:
    name = subject_name(fact.owner_key, fact.subject)
    return replace(
        state,
        subjects=state.subjects.delete(name),
        seen=state.seen.add(epoch_name(fact.owner_key, fact.subject, fact.session, fact.incarnation), time_ms),
        deadlines=state.deadlines.clear(name),
    )


def _fold_late(state: Watched, fact: SubjectLate, time_ms: int) -> Watched:
    name = subject_name(fact.owner_key, fact.subject)
    state = _changed(state, fact, phase="late", seen_ms=fact.seen_ms, evidence=fact.evidence)
    return replace(state, deadlines=state.deadlines.set(name, fact.lost_at_ms))


def _fold_lost(state: Watched, fact: SubjectLost, time_ms: int) -> Watched:
    state = _changed(state, fact, phase="lost")
    return replace(state, deadlines=state.deadlines.clear(subject_name(fact.owner_key, fact.subject)))


def _fold_recovered(state: Watched, fact: SubjectRecovered, time_ms: int) -> Watched:
    state = _changed(state, fact, phase="alive", seen_ms=fact.seen_ms, evidence="")
    return replace(state, deadlines=state.deadlines.clear(subject_name(fact.owner_key, fact.subject)))


def _fold_raised(state: Watched, fact: AlarmRaised, time_ms: int) -> Watched:
    if fact.subject.startswith(BUDGET):
        name = alarm_name(fact.owner_key, fact.subject, fact.rule)
        return replace(state, spending=state.spending.set(name, fact.alarm_id))
    return _changed(state, fact, alarm_id=fact.alarm_id, alarm_rule=fact.rule)


def _fold_cleared(state: Watched, fact: AlarmCleared, time_ms: int) -> Watched:
    if fact.subject.startswith(BUDGET):
        name = alarm_name(fact.owner_key, fact.subject, fact.rule)
        return replace(state, spending=state.spending.delete(name))
    return _changed(state, fact, alarm_id="", alarm_rule="")


FOLDS: Mapping[type[Fact], Callable[[Watched, Any, int], Watched]] = {
    SubjectWatched: _fold_watched,
    SubjectUnwatched: _fold_unwatched,
    SubjectLate: _fold_late,
    SubjectLost: _fold_lost,
    SubjectRecovered: _fold_recovered,
    AlarmRaised: _fold_raised,
    AlarmCleared: _fold_cleared,
}

evolve = fold_by_type("health.watch", FOLDS)
"""The subjects after one of the watch's facts."""
