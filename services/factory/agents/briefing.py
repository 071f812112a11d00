"""What an agent that reads is told: who it is, from its profession, and the work of one attempt."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from services.factory.agents.port import Assignment

PROFESSION = "profession"
"""Folder with what the profession says: in the directory of an instance, laid down before its worker starts, and in
those of its attempts."""

PERSONA, RULES, IDENTITY = "SOUL.md", "AGENTS.md", "IDENTITY.md"

SHOWN_BYTES_MAX = 8 * 1024
"""An input that is text and no longer is shown as it is."""

SHOWN_TOTAL_BYTES_MAX = 32 * 1024


def read_profession(assignment: Assignment) -> str:
    """Who the agent is and what rules it keeps; empty where its profession says nothing."""
    texts = [read_laid(assignment, name) for name in (PERSONA, RULES)]
    return "\n\n".join(filter(None, texts))


def read_laid(assignment: Assignment, name: str) -> str:
    """A file of the profession; empty where there is none."""
    with suppress(OSError):
        return (Path(assignment.directory) / PROFESSION / name).read_text(encoding="utf-8", errors="replace").strip()
    return ""


def write_briefing(assignment: Assignment) -> str:
    """The work of the attempt in words. Paths are relative to the directory that it works in."""
    return "\n".join(_lines(assignment)) + "\n"


def _lines(assignment: Assignment) -> Iterator[str]:
    yield f"# Task: stage `{assignment.stage}`, execution {assignment.execution}"
    yield ""
    yield assignment.instructions.strip() or "Do what your profession does at this stage with the inputs below."
    if assignment.feedback:
        yield from ("", "## Sent back", f"An earlier attempt was not good enough: {assignment.feedback}. Do it better.")
    if assignment.inputs:
        yield from ("", "## Inputs")
        yield from _inputs(assignment)
    if assignment.outputs:
        yield from ("", "## Outputs", "Write each of these files; say nothing in them that does not belong there.")
        yield from (f"- `{name}`: {_relative(assignment, path)}" for name, path in assignment.outputs.items())
        if len(assignment.outputs) == 1:
            yield "If you cannot write files, answer with the content of the output and nothing else."
    yield from ("", "## Result")
    yield "If the task asks for a decision, a score or other values, end your answer with one JSON object that holds"
    yield "them, in a block that starts with ```json and ends with ```."


def _inputs(assignment: Assignment) -> Iterator[str]:
    left = SHOWN_TOTAL_BYTES_MAX
    for name, each in assignment.inputs.items():
        yield f"- `{name}` ({each.media_type}): {_relative(assignment, each.path)}"
        text = _read_text(each.path, min(left, SHOWN_BYTES_MAX))
        if text:
            left -= len(text.encode())
            yield from (f'<input name="{name}">', text.rstrip("\n"), "</input>")


def _read_text(path: str, most: int) -> str:
    """The whole file if it is text of at most so many bytes."""
    with suppress(OSError, UnicodeDecodeError):
        if os.path.getsize(path) <= most:  # noqa: PTH202 -- empty where nothing is laid down
            text = Path(path).read_bytes().decode()
            return "" if "\0" in text else text
    return ""


def _relative(assignment: Assignment, path: str) -> str:
    place = Path(path)
    return str(place.relative_to(assignment.directory)) if place.is_relative_to(assignment.directory) else path
