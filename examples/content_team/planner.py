"""The planner: chooses among the notes by importance and room, and puts those of one topic together."""

import json
import re
import sys
from typing import Any

WORDS_MAX = 150
_NOTE = re.compile(r"(?P<marks>!{0,2})\s*(?P<topic>[\w-]+):\s*(?P<text>\S.*)$")
Note = dict[str, Any]


class NotesUnclear(Exception):
    """What the notes should say more clearly, and in which line."""


def plan(inputs: dict[str, str], parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    title, notes = read_notes(inputs["notes"])
    room = int(parameters.get("words_max", WORDS_MAX))
    chosen = choose(notes, room)
    topics = list(dict.fromkeys(note["topic"] for note in chosen))
    sections = [
        {"topic": topic, "notes": [note["text"] for note in chosen if note["topic"] == topic]} for topic in topics
    ]
    left_out = [note["text"] for note in notes if note not in chosen]
    outline = {"title": title, "words_max": room, "sections": sections, "left_out": left_out}
    print(f"{len(chosen)} of {len(notes)} notes chosen, {len(topics)} topics", file=sys.stderr)
    return {"notes": len(chosen), "left_out": len(left_out)}, {"outline": json.dumps(outline, indent=1)}


def read_notes(text: str) -> tuple[str, list[Note]]:
    title, notes = "", []
    for number, line in enumerate((line.strip() for line in text.splitlines()), start=1):
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif found := _NOTE.match(line):
            notes.append({"marks": len(found["marks"]), "topic": found["topic"], "text": found["text"]})
        elif line:
            raise NotesUnclear(f"line {number} is not a note such as `! topic: text`: {line}")
    if not title or not notes:
        raise NotesUnclear("the notes need a title line that starts with # and at least one note")
    return title, notes


def choose(notes: list[Note], room: int) -> list[Note]:
    """The most important first, in the order of the notes among equals; what does not fit is left out."""
    chosen = []
    for note in sorted(notes, key=lambda note: -int(note["marks"])):
        words = len(note["text"].split())
        if words <= room:
            chosen.append(note)
            room -= words
    return sorted(chosen, key=notes.index)
