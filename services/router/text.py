"""The terms of a task's text, in Chinese, English or both: what the words of a profession are compared with."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

TEXT_CHARACTERS_MAX = 4_000
"""How much of a text is read; what a task is about stands at its beginning."""

PREFIX_LENGTH = 5
"""Longer words also count by their beginning, which relates the forms that stemming does not."""

_PART = re.compile(r"[a-z][a-z0-9+#]*|[㐀-䶿一-鿿]+")
_HUMP = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z])")
_NEVER = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "by", "can", "for", "from", "how", "in", "into", "is", "it"),
        *("its", "my", "not", "of", "on", "or", "our", "please", "so", "such", "that", "the", "their", "this", "to"),
        *("use", "used", "using", "we", "with", "you"),
    )
)
_ENDINGS = (
    *("ements", "ement", "ments", "ment", "ings", "ing", "ness", "ities", "ity", "ies", "iers", "ier", "ied"),
    *("ers", "er", "ors", "or", "ed", "es", "s", "e", "al", "ly", "y"),
)
_ATE = ("ations", "ation", "ators", "ator", "ating", "atives", "ative", "ated", "ates", "ate")
_IZE = ("ization", "isation", "izing", "ising", "ized", "ised", "ize", "ise")
_STEM_MIN = 3


def read_terms(text: str) -> Iterator[tuple[str, str]]:
    """Yield each term of a text and the words as written that it stands for.

    English gives stems, beginnings of words and pairs of neighbours; Chinese gives characters and runs of two or
    three.
    """
    plain = unicodedata.normalize("NFKC", text[:TEXT_CHARACTERS_MAX]).replace("_", " ")
    last: tuple[str, str] | None = None
    for part in _PART.findall(_HUMP.sub(" ", plain).lower()):
        if part[0] > "z":
            yield from _chinese(part)
            last = None
        elif part not in _NEVER:
            stem = find_stem(part)
            yield from _english(part, stem)
            if last:
                yield f"{last[0]} {stem}", f"{last[1]} {part}"
            last = stem, part


def _english(word: str, stem: str) -> Iterator[tuple[str, str]]:
    yield stem, word
    if len(word) > PREFIX_LENGTH:
        yield f"{word[:PREFIX_LENGTH]}-", word


def _chinese(run: str) -> Iterator[tuple[str, str]]:
    for length in (1, 2, 3):
        for start in range(len(run) - length + 1):
            term = run[start : start + length]
            yield term, term


@lru_cache(maxsize=16_384)
def find_stem(word: str) -> str:
    """Return what the forms of an English word have in common, roughly: `testing`, `tests` and `tester` are `test`."""
    if len(word) <= _STEM_MIN:
        return word
    for endings, instead, least in ((_IZE, "iz", _STEM_MIN), (_ATE, "at", _STEM_MIN + 1)):
        for ending in endings:
            if word.endswith(ending) and len(word) - len(ending) >= least:
                return word[: -len(ending)] + instead
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_MIN:
            word = word[: -len(ending)]
            break
    if len(word) > _STEM_MIN and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word[:-1] if word.endswith(("y", "i")) else word
