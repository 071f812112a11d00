"""Matching: which professions a task suits, from its text and the skills that it declares, and why.

Pure and deterministic: whole numbers only, ordered by points and of equals by id. Where the leader is not clearly
ahead, or the words say too little, the match is not accepted: better ask than guess.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, repeat
from typing import NamedTuple

from services.router.index import SCALE, Index, Points, weigh_terms
from services.router.skills import fold_skill
from services.router.text import read_terms

MATCHER = "terms-1"
"""Version of the words, weights and margins below: it changes when a ranking can, so that a replay shows it."""

MARGIN_MIN = 350
"""Thousandths of points that the first must be ahead of the second to be accepted; tuned in `bench/routing.py`."""

POINTS_MIN = 1_000
"""Thousandths of points that the first must have to be accepted: words that no profession uses say nothing."""

NAMED_SKILL_POINTS = 100
"""Thousandths of points for each level of a skill that is declared by its very name or alias."""

EXPLAINED_MAX = 3
"""How many of the first professions have the parts of their points told."""

PARTS_MAX = 5
_DECLARED = "skill "


class Part(NamedTuple):
    """Words of the task, or `skill NAME`, and the thousandths of points that they gave."""

    words: str
    points: int


class Ranked(NamedTuple):
    """A profession, its thousandths of points, and the parts that gave most of them."""

    profession: str
    points: int
    parts: tuple[Part, ...] = ()


class Match(NamedTuple):
    """The professions, the most suitable first, and whether the first can be taken without asking.

    `certainty` is in thousandths; from 500 on the match is accepted.
    """

    ranked: tuple[Ranked, ...]
    certainty: int

    @property
    def accepted(self) -> bool:
        """Whether the first profession is clearly the right one."""
        return self.certainty * 2 >= SCALE


def match_task(
    index: Index, *, text: str = "", skills: Iterable[str] = (), among: Collection[str] | None = None
) -> Match:
    """Rank the professions (those of `among`, if given) for a task; declared skills may be in words of their own."""
    declared = tuple(skills)
    heard = list(_heard(text, declared))
    counts = Counter(term for term, _ in heard)
    weights = weigh_terms(counts, index.rarity, index.rarity_max)
    named = [fold_skill(skill) for skill in declared]
    sums = _sums(index, weights, named)
    places = [place for place, name in enumerate(index.ids) if among is None or name in among]
    places.sort(key=sums.__getitem__, reverse=True)  # stable, so equals stay in the order of their ids
    words = dict(heard)
    explained = [_parts(index, place, weights, named, words) for place in places[:EXPLAINED_MAX]]
    parts = chain(explained, repeat(()))
    ranked = [Ranked(index.ids[place], sums[place], told) for place, told in zip(places, parts, strict=False)]
    return Match(tuple(ranked), _certainty([one.points for one in ranked[:2]]))


def _heard(text: str, skills: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the terms of the text and of each skill, so that no term reaches from one into the next."""
    yield from read_terms(text)
    for skill in skills:
        yield from read_terms(skill)


def _sums(index: Index, weights: list[tuple[str, int]], named: list[str]) -> list[int]:
    sums = [0] * len(index.ids)
    for term, weight in weights:
        for place, points in index.points.get(term, ()):
            sums[place] += weight * points
    whole = [value // (SCALE * SCALE) for value in sums]
    for skill in named:
        for place, level in index.skills.get(skill, ()):
            whole[place] += NAMED_SKILL_POINTS * level
    return whole


def _certainty(points: list[int]) -> int:
    if not points:
        return 0
    if len(points) == 1:
        return SCALE
    margin = points[0] - points[1]
    certainty = SCALE * margin // (margin + MARGIN_MIN)
    return certainty if points[0] >= POINTS_MIN else min(certainty, SCALE // 2 - 1)


def _parts(
    index: Index, place: int, weights: list[tuple[str, int]], named: list[str], words: dict[str, str]
) -> tuple[Part, ...]:
    given: Counter[str] = Counter()
    for term, weight in weights:
        if len(term) == 1 and term > "z":
            continue  # a single Chinese character tells a reader nothing
        given[words[term]] += weight * _given(index.points.get(term, ()), place) // (SCALE * SCALE)
    for skill in named:
        given[_DECLARED + skill] += NAMED_SKILL_POINTS * _given(index.skills.get(skill, ()), place)
    largest = sorted(((-points, text) for text, points in given.items() if points))[:PARTS_MAX]
    return tuple(Part(text, -points) for points, text in largest)


def _given(points: Points, place: int) -> int:
    at = bisect_left(points, (place, 0))
    return points[at][1] if at < len(points) and points[at][0] == place else 0
