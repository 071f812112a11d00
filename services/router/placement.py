"""Placement: which instance suits a task best and why, or why none can take it.

First the hard filter: profession, agent, least skill levels, a free slot. Then a score in thousandths: what the levels
are above the least ones, past success, and the free share of the slots; of equals the smallest id.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from immutables import Map

from services.records.task import Candidate, Reason
from services.router.crew import Crew, Kind, has_agent, has_levels, is_hoped_for
from services.router.instance import Instance, score_load, score_success
from services.router.queue import Levels

SKILL_WEIGHT = 400
"""Most of a score, in thousandths, that comes from skills; nothing does unless the task asks for levels."""

LEVEL_MAX = 10
"""Highest level of a skill."""

RUNNERS_UP_MAX = 3
"""Most instances that are named besides the chosen one."""


class Choice(NamedTuple):
    """The instance that suits best, and what speaks for it."""

    instance_id: str
    reasons: tuple[Reason, ...]
    runners_up: tuple[Candidate, ...]


def choose(crews: Iterable[Crew], instances: Map[str, Instance], agent: str, least: Levels) -> Choice | None:
    """The best of the free instances of these crews that can take such a task; None when there is none."""
    ranked: list[tuple[int, str, int]] = []
    for crew in crews:
        for kind in crew.kinds:
            if kind.free and has_agent(kind, agent) and has_levels(kind, least):
                skill = score_skills(kind, least) if least else 0
                for listed, name in kind.free[: RUNNERS_UP_MAX + 1]:
                    ranked.append((listed - skill, name, skill))
    if not ranked:
        return None
    ranked.sort()
    _, best, skill = ranked[0]
    reasons = (*((_skill_reason(skill, least),) if least else ()), *_reasons(instances[best]))
    rest = ranked[1 : RUNNERS_UP_MAX + 1]
    return Choice(best, reasons, tuple([_candidate(instances[name], skill) for _, name, skill in rest]))


def score_skills(kind: Kind, least: Levels) -> int:
    """Thousandths for how far its levels are above the least ones, of the way to the highest."""
    room = above = 0
    for skill, level in least:
        if level < LEVEL_MAX:
            room += LEVEL_MAX - level
            above += min(LEVEL_MAX, kind.levels.get(skill, 0)) - level
    return SKILL_WEIGHT * above // room if room else SKILL_WEIGHT


def explain_none(crew: Crew, profession: str, agent: str, least: Levels) -> str:
    """Why no instance can take such a task now."""
    if not crew.kinds:
        way = "; one is on its way" if is_hoped_for(crew, agent) else ""
        return f"no instance of {profession} is there{way}"
    kinds = [kind for kind in crew.kinds if has_agent(kind, agent)]
    if not kinds:
        return f"no instance of {profession} works with agent {agent}"
    able = [kind for kind in kinds if has_levels(kind, least)]
    if not able:
        return f"no instance of {profession} has {_missing(kinds, least)}"
    if any(kind.free for kind in able):
        return f"other tasks wait for {profession} and are assigned first"
    members = sum(kind.members for kind in able)
    return f"the only fitting {profession} is busy" if members == 1 else f"all {members} fitting {profession} are busy"


def _missing(kinds: list[Kind], least: Levels) -> str:
    """The skills that none of them has, or all when it is the mixture that none of them has."""
    missing = [one for one in least if not any(has_levels(kind, (one,)) for kind in kinds)]
    return " and ".join(f"{skill} at level {level}" for skill, level in missing or least)


def _reasons(instance: Instance) -> tuple[Reason, Reason]:
    free = instance.slots - len(instance.attempts)
    return (
        _success_reason(score_success(instance), instance.succeeded, instance.ended),
        _load_reason(score_load(instance), free, instance.slots),
    )


# Few different ones are said again and again; making such a value costs as much as the whole choice.


@lru_cache(maxsize=4_096)
def _success_reason(score: int, succeeded: int, ended: int) -> Reason:
    note = f"{succeeded} of its last {ended} tasks ended well" if ended else "no task ended yet"
    return Reason(part="success", score=score / 1_000, note=note)


@lru_cache(maxsize=4_096)
def _load_reason(score: int, free: int, slots: int) -> Reason:
    return Reason(part="load", score=score / 1_000, note=f"{free} of {slots} slots free")


@lru_cache(maxsize=4_096)
def _skill_reason(score: int, least: Levels) -> Reason:
    note = ", ".join(f"{skill} {level} or more" for skill, level in least)
    return Reason(part="skills", score=score / 1_000, note=note)


def _candidate(instance: Instance, skill: int) -> Candidate:
    return _cached_candidate(instance.instance_id, skill, score_success(instance), score_load(instance))


@lru_cache(maxsize=16_384)
def _cached_candidate(instance_id: str, skill: int, success: int, load: int) -> Candidate:
    parts = [("skills", skill)] if skill else []
    note = ", ".join(f"{part} {score / 1_000:g}" for part, score in [*parts, ("success", success), ("load", load)])
    return Candidate(instance_id=instance_id, score=(skill + success + load) / 1_000, note=note)
