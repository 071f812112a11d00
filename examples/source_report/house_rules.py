"""The rules of the house, each a function that lists what breaks it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from manuscript import Block, Manuscript
from wording import find_value

SENTENCE_WORDS_MAX = 22
SUMMARY_SENTENCES_MIN, SUMMARY_SENTENCES_MAX = 2, 10
PICTURE_WORDS_MIN = 5
HEADINGS = ("Size", "Functions", "Dependencies", "Hot spots", "History", "How this was measured")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_LEFTOVER = re.compile(r"\b(?:None|nan|TODO|undefined|Lorem)\b|[{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    rule: str
    where: str  # the id of a paragraph or section
    message: str  # what is wrong and what is wanted, for a person and for the writer


Rule = Callable[[Manuscript, Any], Iterator[tuple[str, str]]]


def review(manuscript: Manuscript, statistics: Any) -> list[Problem]:
    return [
        Problem(rule=name, where=where, message=message)
        for name, rule in RULES.items()
        for where, message in rule(manuscript, statistics)
    ]


def split_sentences(block: Block) -> list[str]:
    return [sentence for sentence in _SENTENCE_END.split(" ".join(block.text.split())) if sentence]


def check_summary(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    """A reader with one minute reads nothing else."""
    if not manuscript.sections or manuscript.sections[0].name != "summary":
        yield "page", "The report lacks a summary: its first section must say what was found and what to do."
        return
    blocks = [block for block in manuscript.blocks if block.section == "summary"]
    count = sum(len(split_sentences(block)) for block in blocks)
    if not SUMMARY_SENTENCES_MIN <= count <= SUMMARY_SENTENCES_MAX:
        wanted = f"{SUMMARY_SENTENCES_MIN} to {SUMMARY_SENTENCES_MAX}"
        yield "summary", f"The summary has {count} sentences; {wanted} are wanted, with what was found and what to do."


def check_headings(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    wanted = iter(HEADINGS)
    found = [heading for heading in manuscript.headings if heading in HEADINGS]
    for heading in found:
        for missing in wanted:
            if missing == heading:
                break
            yield "page", f"The section “{missing}” is missing or in the wrong place."
    yield from (("page", f"The section “{missing}” is missing or in the wrong place.") for missing in wanted)


def check_sentence_length(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    for block in manuscript.blocks:
        for sentence in split_sentences(block):
            words = len(sentence.split())
            if words > SENTENCE_WORDS_MAX:
                begin = " ".join(sentence.split()[:6])
                yield block.where, f"The sentence “{begin} …” has {words} words; at most {SENTENCE_WORDS_MAX} are read."


def check_figures(manuscript: Manuscript, statistics: Any) -> Iterator[tuple[str, str]]:
    for figure in manuscript.figures:
        try:
            value = str(find_value(statistics, figure.source))
        except (LookupError, TypeError, ValueError):
            yield "page", f"The figure {figure.text} names a source that the statistics lack: {figure.source}."
            continue
        if value not in (figure.text, figure.text.replace(",", "")) or value != figure.value:
            yield "page", f"The text says {figure.text} where the statistics say {value} ({figure.source})."


def check_sources(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    for block in manuscript.blocks:
        loose = re.search(r"\S*\d\S*", re.sub(r"UTF-8", "", block.loose))
        if loose:
            yield block.where, f"The figure {loose[0]} stands in the text without a source in the statistics."


def check_pictures(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    if not manuscript.pictures:
        yield "page", "The report has no picture."
    for number, words in enumerate(manuscript.pictures, start=1):
        if len(words.split()) < PICTURE_WORDS_MIN:
            yield "plot", f"Picture {number} lacks an alternative text that says what can be seen."


def check_sections(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    for section in manuscript.sections:
        if not section.content:
            yield section.name, f"The section “{section.name}” is empty."


def check_tables(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    for table in manuscript.tables:
        if not table.caption.strip() or not table.headers:
            yield table.where, "A table needs a caption and a header for each column."
        if not table.rows:
            yield table.where, f"The table “{table.caption}” has no rows."


def check_leftovers(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    for block in manuscript.blocks:
        leftover = _LEFTOVER.search(block.loose)
        if leftover:
            yield block.where, f"“{leftover[0]}” was left in the text."


def check_page(manuscript: Manuscript, _: Any) -> Iterator[tuple[str, str]]:
    if not manuscript.language or not manuscript.title.strip():
        yield "page", "The page must name its language and have a title."
    for target in manuscript.references:
        yield "page", f"The page must stand alone, but it asks for {target}."
    if "@import" in manuscript.style or "url(" in manuscript.style:
        yield "page", "The page must stand alone, but its style asks for another file."


RULES: dict[str, Rule] = {
    "summary": check_summary,
    "headings": check_headings,
    "sentence-length": check_sentence_length,
    "figures": check_figures,
    "sources": check_sources,
    "pictures": check_pictures,
    "sections": check_sections,
    "tables": check_tables,
    "leftovers": check_leftovers,
    "page": check_page,
}
