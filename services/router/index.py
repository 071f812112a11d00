"""The index of professions: which term speaks for which profession, and how much.

It is made once for each catalogue, from what the professions say themselves: their names, skills and above all their
examples of tasks. All weights are whole numbers, so that a sum is the same in whatever order it is taken.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isqrt, log, log1p

from services.definitions.profession import Profession, Wording
from services.router.skills import named_levels
from services.router.text import read_terms

SCALE = 1_000
SHARE_FACTOR = 2_000
"""What the share of a term in the words of a profession is multiplied with before its logarithm is taken."""

Points = tuple[tuple[int, int], ...]
"""Places of professions in `ids`, and the points that each is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """For each term its rarity and the points that it gives; for each skill by name or alias who has it, how well."""

    ids: tuple[str, ...]
    rarity: Mapping[str, int]
    rarity_max: int
    points: Mapping[str, Points]
    skills: Mapping[str, Points]


def build_index(professions: Iterable[Profession]) -> Index:
    """Return the index of these professions, of which no two have one id; it takes about half a second."""
    ordered = tuple(sorted(professions, key=lambda profession: profession.id))
    counts = [[count_terms(text) for text in _texts(one)] for one in ordered]
    seen_in = Counter(term for texts in counts for count in texts for term in count)
    total = sum(len(texts) for texts in counts)
    rarity = {term: _rarity(total, times) for term, times in seen_in.items()}
    return Index(
        ids=tuple(profession.id for profession in ordered),
        rarity=rarity,
        rarity_max=_rarity(total, 0),
        points=_gather(_weigh(texts, rarity) for texts in counts),
        skills=_gather(named_levels(profession).items() for profession in ordered),
    )


def count_terms(text: str) -> Counter[str]:
    """Return how often each term occurs in a text."""
    return Counter(term for term, _ in read_terms(text))


def weigh_terms(counts: Mapping[str, int], rarity: Mapping[str, int], rarity_unknown: int) -> list[tuple[str, int]]:
    """Return the weight of each term of a text; the squares of all sum up to about the fourth power of SCALE."""
    weights = [(term, _frequency(times) * rarity.get(term, rarity_unknown)) for term, times in counts.items()]
    length = isqrt(sum(weight * weight for _, weight in weights)) or 1
    return [(term, SCALE * SCALE * weight // length) for term, weight in weights]


def _texts(profession: Profession) -> Iterator[str]:
    yield profession.id
    yield from _wordings(profession.name, profession.summary)
    yield from profession.aliases
    yield from profession.task_types
    for skill in profession.skills:
        yield skill.name
        yield from skill.aliases
        yield from _wordings(skill.description)
    yield from profession.examples.zh
    yield from profession.examples.en


def _wordings(*wordings: Wording) -> Iterator[str]:
    for wording in wordings:
        yield from (text for text in (wording.zh, wording.en) if text)


def _frequency(times: int) -> int:
    return SCALE if times == 1 else round(SCALE * (1 + log(times)))


def _rarity(total: int, times: int) -> int:
    return round(SCALE * (1 + log((1 + total) / (1 + times))))


def _weigh(texts: Iterable[Counter[str]], rarity: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the points of each term of a profession: the logarithm of the share that it has in the profession's words.

    Shares, so that a profession with a few examples stands beside one with hundreds; their logarithm, so that many
    terms that fit a little outweigh one that fits a lot.
    """
    sums: Counter[str] = Counter()
    for counts in texts:
        for term, weight in weigh_terms(counts, rarity, 0):
            sums[term] += weight
    total = sum(sums.values())
    for term, value in sums.items():
        yield term, round(SCALE * log1p(SHARE_FACTOR * value / total))


def _gather(given: Iterable[Iterable[tuple[str, int]]]) -> dict[str, Points]:
    gathered: dict[str, list[tuple[int, int]]] = {}
    for place, values in enumerate(given):
        for name, value in values:
            gathered.setdefault(name, []).append((place, value))
    return {name: tuple(values) for name, values in gathered.items()}
