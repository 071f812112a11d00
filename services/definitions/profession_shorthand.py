"""The short forms of a profession file, turned into the full form that the model and the canonical JSON have."""

from __future__ import annotations

import re
from typing import Any

from services.definitions.shorthand import Misreading, Path

HAN = re.compile(r"[㐀-䶿一-鿿]")
_EXAMPLE_HELP = "write the text, or {lang: zh, text: …} with the language zh or en"


def language_of(text: str) -> str:
    """Return `zh` for a text that has Chinese characters, otherwise `en`."""
    return "zh" if HAN.search(text) else "en"


def expand_profession(value: Any) -> tuple[Any, list[Misreading]]:
    """Return the full form of a profession as written, and what could not be read.

    A text stands for a wording in its own language, a block of lines for a list of examples, and a list of examples for
    those of both languages. Whatever is of another shape than a short form is left to the model to judge.
    """
    noted: list[Misreading] = []
    if not isinstance(value, dict):
        return value, noted
    full = dict(value)
    for name in ("name", "summary", "instructions"):
        if name in full:
            full[name] = _wording(full[name])
    if isinstance(full.get("skills"), list):
        full["skills"] = [_skill(skill) for skill in full["skills"]]
    if "examples" in full:
        full["examples"] = _examples(full["examples"], noted)
    return full, noted


def _wording(value: Any) -> Any:
    return {language_of(value): value} if isinstance(value, str) else value


def _skill(value: Any) -> Any:
    if isinstance(value, dict) and "description" in value:
        return {**value, "description": _wording(value["description"])}
    return value


def _examples(value: Any, noted: list[Misreading]) -> Any:
    if isinstance(value, dict):
        return {language: _lines(texts) for language, texts in value.items()}
    if not isinstance(value, list):
        return value
    by_language: dict[str, list[str]] = {"zh": [], "en": []}
    for index, item in enumerate(value):
        language, text = _example(item, ("examples", index), noted)
        if language:
            by_language[language].append(text)
    return by_language


def _lines(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [line.strip() for line in value.splitlines() if line.strip()]


def _example(item: Any, path: Path, noted: list[Misreading]) -> tuple[str, str]:
    if isinstance(item, str) and item.strip():
        return language_of(item), item.strip()
    if isinstance(item, dict) and set(item) <= {"lang", "text"} and isinstance(item.get("text"), str):
        language = item.get("lang", language_of(item["text"]))
        if language in ("zh", "en") and item["text"].strip():
            return language, item["text"].strip()
    noted.append(Misreading(path=path, reason="this is no example of a task", suggestion=_EXAMPLE_HELP))
    return "", ""
