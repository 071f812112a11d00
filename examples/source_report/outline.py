"""What a file defines and needs, as far as patterns can tell: the way for every language but Python."""

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from languages import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    name: str
    line: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    functions: tuple[Function, ...] = ()
    imports: frozenset[str] = frozenset()
    documented: frozenset[int] = frozenset()  # the numbers of the lines that docstrings cover


def outline_by_pattern(text: str, lines: list[str], language: Language) -> Outline:
    imports = language.imports.finditer(text) if language.imports else ()
    return Outline(
        functions=tuple(_find_functions(text, lines, language)),
        imports=frozenset(match[1] for match in imports if match[1]),
    )


def _find_functions(text: str, lines: list[str], language: Language) -> Iterator[Function]:
    if language.function is None:
        return
    starts = list(itertools.accumulate((len(line) + 1 for line in lines), initial=0))
    for match in language.function.finditer(text):
        group = match.lastgroup or "name"
        first = bisect.bisect_right(starts, match.start(group)) - 1
        yield Function(name=match[group], line=first + 1, lines=_find_end(lines, first, language.closing) - first + 1)


def _find_end(lines: list[str], first: int, closing: str) -> int:
    """The line that starts with the closing word at the first one's indent; without such a word, the last indented."""
    if closing and lines[first].rstrip().endswith(closing):
        return first
    indent = _measure_indent(lines[first])
    last = first
    for number in range(first + 1, len(lines)):
        line = lines[number].strip()
        if not line or line in ("{", ") {", "):"):  # the head of the function goes on
            continue
        if _measure_indent(lines[number]) <= indent:
            return number if closing and line.startswith(closing) else last
        last = number
    return last


def _measure_indent(line: str) -> int:
    return len(line) - len(line.lstrip())
