"""Who and what the small world around the roster is made of: beings, tries, and two professions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from services.definitions.profession import Examples, Profession, Skill, Wording
from services.records import task
from services.records.content import Work

AGEING_MS = 10_000
PROFESSIONS, AGENTS, SKILLS = ("tester", "writer"), ("script", "claude"), ("coding", "typing")
LEVELS = {"tester": {"coding": 9, "typing": 3}, "writer": {"coding": 2, "typing": 8}}
WORDS = ("", "", "test the release for defects", "write an essay on spring", "do what is to be done")
EXAMPLES = {
    "tester": ("test the release", "find defects", "run the regression suite"),
    "writer": ("write an essay", "tell a story of spring", "rhyme a poem"),
}
KNOWN = {
    name: Profession(
        id=name,
        name=Wording(en=name),
        skills=tuple(Skill(name=skill, level=level) for skill, level in LEVELS[name].items()),
        examples=Examples(en=EXAMPLES[name]),
    )
    for name in PROFESSIONS
}
DIGESTS = {name: profession.digest() for name, profession in KNOWN.items()}
BLOBS = {profession.digest(): profession.to_json() for profession in KNOWN.values()}


@dataclass(kw_only=True)
class Being:
    """An instance, as the world sees it."""

    name: str
    profession: str
    agent: str
    skills: dict[str, int]
    slots: int
    on_demand: bool
    session: str = ""
    incarnation: int = 0
    is_ready: bool = False
    held: list[str] = field(default_factory=list)
    good: int = 0
    all: int = 0


@dataclass(kw_only=True)
class Try:
    """An attempt, as the world sees it. Its ends are what runs would take for one."""

    asked: task.TaskRequested
    place: str = "asked"  # doubted, waiting, held, over
    among: tuple[str, ...] = ()  # whose instances may do it
    since_ms: int = 0
    turn: int = 0
    given_to: task.TaskAssigned | None = None
    ends: list[str] = field(default_factory=list)


def who_may(work: Work, beings: Iterable[Being]) -> tuple[str, ...]:
    """Whose instances may do it: that which is named, else whoever has the levels or somebody who has them."""
    if work.profession:
        return (work.profession,)
    levels = [(name, LEVELS[name]) for name in PROFESSIONS]
    levels += [(being.profession, being.skills) for being in beings if being.is_ready]
    fit = {name for name, has in levels if all(has.get(skill, 0) >= least for skill, least in work.skills.items())}
    return tuple(sorted(fit))


def score(being: Being, work: Work) -> Fraction:
    """What speaks for it, of one."""
    load = 300 * (being.slots - len(being.held)) // being.slots
    success = 300 * (being.good + 4) // (being.all + 4)
    room = sum(10 - level for level in work.skills.values())
    above = sum(being.skills[skill] - level for skill, level in work.skills.items())
    skills = (400 * above // room if room else 400) if work.skills else 0
    return Fraction(load + success + skills, 1_000)
