"""What a trace is asked about: an id, a digest, an artifact by name or a place in the log, and the records it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bus.record import Envelope, Record
from services.audit.history import History, told
from services.audit.trace import NothingToTrace, run_of

_PLACE = re.compile(r"[a-z]+/\d+/\d+")
_ARTIFACT = re.compile(r"(?P<run>[^/@]+)/(?P<name>[^@]+?)(@v?(?P<version>\d+))?")
_SHARED = re.compile(r"workspace:(?P<name>[^@]+?)(@v?(?P<version>\d+))?")

_NAMING = frozenset({"attempts", "definition", "subject", "subjects", "members"})
"""Fields beside those that end in `_id` whose texts name something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The records that a trace is about, the oldest first."""

    kind: str  # run, task, attempt, instance, node …, artifact or record
    name: str
    records: tuple[Envelope, ...]


def find_subject(history: History, text: str) -> Subject:
    """Whatever is called so; raises NothingToTrace with what would be right."""
    if _PLACE.fullmatch(text):
        record = history.at(text)
        return _subject("record", text, [record] if record else [])
    if text.startswith("sha256:"):
        found = _naming(history, lambda part: part.digest == text)
        return _subject("artifact", text, found or [e for e in history if text in _ids(e)])
    if shared := _SHARED.fullmatch(text):
        return _shared(history, text, shared)
    named = [envelope for envelope in history if text in _ids(envelope)]
    if named:
        return _subject(_kind(min(named, key=told), text), text, named)
    if part := _ARTIFACT.fullmatch(text):
        return _of_run(history, text, part)
    return _subject("", text, [])


def _subject(kind: str, name: str, found: list[Envelope]) -> Subject:
    if not found:
        raise NothingToTrace(
            f"no record names {name!r}; right would be the id of a run, task, attempt, instance or record, "
            "a place such as task/0/12, an artifact as RUN/NAME, RUN/NAME@VERSION or workspace:NAME, or its sha256:…"
        )
    return Subject(kind=kind, name=name, records=tuple(sorted(found, key=told)))


def _kind(envelope: Envelope, text: str) -> str:
    """By the field that first has the id."""
    if envelope.id == text:
        return "record"
    if run_of(envelope) == text:
        return "run"
    return next(name for name, value in _texts(envelope.record) if value == text).removesuffix("_id")


def _ids(envelope: Envelope) -> set[str]:
    return {envelope.id, run_of(envelope), *(value for _, value in _texts(envelope.record))} - {""}


def _texts(record: Record) -> Iterator[tuple[str, str]]:
    """The ids in the fields of a record and of its work; lists of them too."""
    for holder in (record, getattr(record, "work", None)):
        for name, value in holder.__dict__.items() if holder is not None else ():
            if not (name.endswith("_id") or name in _NAMING) or name == "workspace_id":
                continue
            if isinstance(value, str):
                yield name, value
            elif isinstance(value, tuple):
                yield from ((name, each) for each in value if isinstance(each, str))


# Artifacts.


def _shared(history: History, text: str, match: re.Match[str]) -> Subject:
    names, version = {match["name"], f"workspace:{match['name']}"}, match["version"]

    def is_it(part: Any) -> bool:
        return part.name in names and version in (None, str(getattr(part, "version", "")))

    found = [e for e in _naming(history, is_it) if e.at and e.at.channel == "data"]
    prefixed = _naming(history, lambda part: part.name == f"workspace:{match['name']}" and is_it(part))
    return _subject("artifact", text, list({str(e.at): e for e in (*found, *prefixed)}.values()))


def _of_run(history: History, text: str, match: re.Match[str]) -> Subject:
    name, version = match["name"], match["version"]

    def is_it(part: Any) -> bool:
        return part.name == name and version in (None, str(getattr(part, "version", "")))

    named = [envelope for envelope in _naming(history, is_it) if run_of(envelope) == match["run"]]
    return _subject("artifact", text, named)


def _naming(history: History, is_it: Callable[[Any], bool]) -> list[Envelope]:
    return [envelope for envelope in history if any(is_it(part) for part in parts_of(envelope.record))]


def parts_of(record: Record) -> Iterator[Any]:
    """The artifacts and contents that a record names, read or written."""
    work = getattr(record, "work", None)
    groups = (getattr(record, name, ()) for name in ("inputs", "outputs", "reads", "subject"))
    for group in (*groups, work.inputs if work else ()):
        yield from (part for part in group if hasattr(part, "digest")) if isinstance(group, tuple) else ()
    for name in ("artifact", "content", "rejected"):
        if (part := getattr(record, name, None)) is not None:
            yield part


def is_written_by(record: Record, names: set[tuple[str, str]]) -> bool:
    """Whether a record says that an artifact of one of these names and digests came to be."""
    written = (*getattr(record, "outputs", ()), *filter(None, [getattr(record, "artifact", None)]))
    return any((part.name, part.digest) in names for part in written)
