"""Conditions in jq, as far as they are plain comparisons of fields, as CEL."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"[^"\\]*")|(?P<number>-?\d+(?:\.\d+)?)|(?P<path>(?:\.[A-Za-z_]\w*)+)|(?P<word>and|or|not|true|false|null)\b'
    r"|(?P<sign>==|!=|<=|>=|<|>|\(|\)|\|))"
)
_WORDS = {"and": "&&", "or": "||"}


def translate_condition(text: str, variable: str) -> tuple[str, list[str]] | None:
    """CEL over this variable, and the fields of it that are read; None for anything more than comparisons."""
    inner = text.strip().removeprefix("${").removesuffix("}").strip()
    parts, names, at = [], [], 0
    while at < len(inner):
        found = _TOKEN.match(inner, at)
        if found is None or found["sign"] == "|" or found["word"] == "not":
            return None
        at = found.end()
        if path := found["path"]:
            names.append(path[1:].partition(".")[0])
            parts.append(variable + path)
        else:
            word = found["word"]
            parts.append(_WORDS.get(word, word) if word else found[0].strip())
    return (" ".join(parts), names) if parts else None
