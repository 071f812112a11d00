"""The metrics of one file: its lines by kind, its functions, what it imports."""

import codecs
import re
from dataclasses import dataclass

from languages import PYTHON, Language, recognise_language
from outline import Function, Outline, outline_by_pattern
from python_outline import outline_python

BINARY_PROBE_BYTES = 8192
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    language: str
    kind: str
    encoding: str
    lines: int
    code: int
    comment: int
    blank: int
    functions: tuple[Function, ...]
    imports: tuple[str, ...]


def is_binary(data: bytes) -> bool:
    return b"\0" in data[:BINARY_PROBE_BYTES] and not data.startswith(_UTF16_MARKS)


def measure_source(path: str, data: bytes) -> Source:
    text, encoding = decode(data)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()  # the end of the last line is not a line
    language = recognise_language(path, lines[0] if lines else "")
    outline = outline_python(path, data) if language is PYTHON else None
    if outline is None:
        outline = outline_by_pattern(text, lines, language)
    blank = sum(not line.strip() for line in lines)
    comment = _count_comments(text, lines, language, outline)
    return Source(
        language=language.name,
        kind=language.kind,
        encoding=encoding,
        lines=len(lines),
        code=len(lines) - comment - blank,
        comment=comment,
        blank=blank,
        functions=outline.functions,
        imports=tuple(sorted(outline.imports)),
    )


def decode(data: bytes) -> tuple[str, str]:
    encoding = "utf-16" if data.startswith(_UTF16_MARKS) else "utf-8"
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError:
        # Every byte is a character of this one, so lines can be counted all the same.
        text, encoding = data.decode("latin-1"), "unknown"
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _count_comments(text: str, lines: list[str], language: Language, outline: Outline) -> int:
    """Lines on which nothing but comment stands. A docstring is comment; the blank lines in it are blank."""
    rest = language.comment.sub(_erase_comment, text).split("\n") if language.comment else lines
    return sum(
        (not left.strip() or number in outline.documented) and bool(line.strip())
        for number, (line, left) in enumerate(zip(lines, rest, strict=False), start=1)
    )


def _erase_comment(match: re.Match[str]) -> str:
    comment = match["comment"]
    return match[0] if comment is None else "\n" * comment.count("\n")
