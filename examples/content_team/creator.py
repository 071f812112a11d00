"""The creator: turns the outline into a text, and mends it sentence by sentence where the editor asks."""

import json
import re
import sys
from typing import Any

# Where a long sentence can be parted, and how what follows begins then.
_JOINTS = ((", and there is ", "There is "), (", which is ", "That is "), (" and she ", "She "), (" and he ", "He "))


def write(inputs: dict[str, str], _: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The first draft takes the notes at their word."""
    outline = json.loads(inputs["outline"])
    problems = json.loads(inputs["feedback"])["problems"] if "feedback" in inputs else []
    paragraphs = [f"# {outline['title']}"]
    for section in outline["sections"]:
        sentences = [mend(note, problems) for note in section["notes"]]
        paragraphs += [f"## {section['topic'].capitalize()}", " ".join(sentences)]
    print(f"{len(problems)} problems mended" if problems else "first draft written", file=sys.stderr)
    text = "\n\n".join(paragraphs) + "\n"
    return {"words": len(text.split()), "mended": len(problems)}, {"text": text}


def mend(note: str, problems: list[dict[str, str]]) -> str:
    mended = note
    for problem in problems:
        if problem["sentence"] and problem["sentence"] in note:
            mended = drop_word(mended, problem["word"]) if problem["rule"] == "filler" else part(mended)
    return mended


def drop_word(sentence: str, word: str) -> str:
    without = re.sub(rf"\s*\b{re.escape(word)}\b", "", sentence, count=1, flags=re.IGNORECASE).strip()
    return without[:1].upper() + without[1:]


def part(sentence: str) -> str:
    for joint, beginning in _JOINTS:
        sentence = sentence.replace(joint, f". {beginning}")
    return sentence
