"""Selection: which professions a task may go to, where it names none, and whether somebody has to be asked.

Exact first: only professions that have the least levels, or of which an instance has them. Among those the words of
the task decide, if it has any. Where no profession is clearly ahead, nobody guesses: it is asked for.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from services.definitions.catalogue import build_catalogue
from services.definitions.problem import DefinitionInvalid
from services.definitions.profession import Profession
from services.records.content import Work
from services.records.task import Fit, Pick
from services.router.crew import has_levels
from services.router.index import SCALE, Index, build_index
from services.router.matching import MATCHER, Ranked, match_task
from services.router.queue import Levels, least_levels
from services.router.roster_state import Roster
from services.router.skills import level_of, meets

RANKED_MAX = 5
"""How many professions of a ranking stand in a record."""

CATALOGUES_MAX = 8
"""Most catalogues of which a process keeps the index ready."""


class Selection(NamedTuple):
    """Whom a task may go to; several only where skills alone decide. With `choices` it is to be asked, with a `refusal`
    it can go to nobody."""

    professions: tuple[str, ...] = ()
    pick: Pick | None = None
    choices: tuple[str, ...] = ()
    refusal: str = ""


def digests_of(work: Work) -> tuple[str, ...]:
    """What must be known to find a profession for a task that names none."""
    return () if work.profession else tuple(sorted(set(work.professions.values())))


def select(work: Work, roster: Roster, blobs: Mapping[str, bytes | None]) -> Selection:
    """The professions that may do this work; one that is named is taken as it is."""
    if work.profession:
        return Selection((work.profession,))
    if not work.professions:
        return Selection(refusal="the task names no profession, and its run brought none along to choose from")
    lacking = [digest for digest in digests_of(work) if blobs.get(digest) is None]
    if lacking:
        return Selection(refusal=f"the profession {lacking[0]} is not in the blob store")
    try:
        professions, index = _read(_Contents({digest: blobs[digest] or b"" for digest in digests_of(work)}))
    except DefinitionInvalid as error:
        return Selection(refusal=f"a profession to choose from cannot be read: {error}")
    least = least_levels(work)
    able = [each for each in professions if meets(each, work.skills) or _has_able(roster, each.id, least)]
    if not able:
        return Selection(
            refusal=f"no profession has {' and '.join(f'{name} at level {level}' for name, level in least)}"
        )
    return _match(index, able, work) if work.instructions else _rank(able, least)


def narrowed(work: Work, professions: Sequence[str]) -> Work:
    """The work with those that it may go to from now on; if that is one, it names it."""
    if work.profession:
        return work
    kept = {name: digest for name, digest in work.professions.items() if name in professions}
    return work.model_copy(update={"profession": professions[0] if len(professions) == 1 else "", "professions": kept})


def _has_able(roster: Roster, profession: str, least: Levels) -> bool:
    return any(has_levels(kind, least) for kind in roster.crew(profession).kinds)


def _match(index: Index, able: Sequence[Profession], work: Work) -> Selection:
    match = match_task(index, text=work.instructions, skills=sorted(work.skills), among={each.id for each in able})
    ranked = tuple(_fit(each) for each in match.ranked[:RANKED_MAX])
    pick = Pick(matcher=MATCHER, certainty=match.certainty / SCALE, ranked=ranked)
    if match.accepted:
        return Selection((match.ranked[0].profession,), pick)
    return Selection(pick=pick, choices=tuple(each.profession for each in match.ranked))


def _fit(ranked: Ranked) -> Fit:
    note = ", ".join(f"{part.words} {part.points / SCALE:g}" for part in ranked.parts)
    return Fit(profession=ranked.profession, score=ranked.points / SCALE, note=note)


def _rank(able: Sequence[Profession], least: Levels) -> Selection:
    """Any of them will do; those with the highest levels stand first."""
    levels = {each.id: [level_of(each, skill) for skill, _ in least] for each in able}
    order = sorted(levels, key=lambda name: (-sum(levels[name]), name))
    ranked = [
        Fit(
            profession=name,
            score=float(sum(levels[name])),
            note=", ".join(f"{skill} {level}" for (skill, _), level in zip(least, levels[name], strict=True)),
        )
        for name in order[:RANKED_MAX]
    ]
    return Selection(tuple(order), Pick(matcher="", certainty=1.0, ranked=tuple(ranked)))


def doubt_on(pick: Pick) -> str:
    """Why it has to be asked, in a sentence."""
    first, second = pick.ranked[:2]
    return f"{first.profession} ({first.score:.2f}) is not clearly ahead of {second.profession} ({second.score:.2f})"


class _Contents:
    """Canonical professions by digest, equal to others of the same digests: comparing contents would cost more."""

    __slots__ = ("contents", "digests")

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents, self.digests = contents, tuple(contents)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Contents) and other.digests == self.digests

    def __hash__(self) -> int:
        return hash(self.digests)


@lru_cache(maxsize=CATALOGUES_MAX)
def _read(given: _Contents) -> tuple[tuple[Profession, ...], Index]:
    professions = build_catalogue(Profession.from_json(content) for content in given.contents.values()).professions
    return professions, build_index(professions)
