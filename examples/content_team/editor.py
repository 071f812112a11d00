"""The editor: reads the text against the style guide and names each sentence that breaks it."""

import json
import re
import sys
from typing import Any

SENTENCE_WORDS_MAX = 24
FILLERS = ("actually", "basically", "quite", "really", "very")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def edit(inputs: dict[str, str], parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    outline = json.loads(inputs["outline"])
    longest = int(parameters.get("sentence_words_max", SENTENCE_WORDS_MAX))
    problems = [problem for sentence in list_sentences(inputs["text"]) for problem in judge(sentence, longest)]
    problems += check_figures(outline, inputs["text"])
    for problem in problems:
        print(f"{problem['rule']}: {problem['sentence']}", file=sys.stderr)
    print("passed" if not problems else f"{len(problems)} problems", file=sys.stderr)
    verdict = {"passed": not problems, "problems": problems}
    return verdict, {"feedback": json.dumps(verdict, indent=1)}


def list_sentences(text: str) -> list[str]:
    paragraphs = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [sentence for paragraph in paragraphs for sentence in _SENTENCE_END.split(paragraph)]


def judge(sentence: str, longest: int) -> list[dict[str, str]]:
    words = [word.strip(".,;:!?").lower() for word in sentence.split()]
    problems = [{"rule": "filler", "sentence": sentence, "word": word} for word in FILLERS if word in words]
    if len(words) > longest:
        problems.insert(0, {"rule": "length", "sentence": sentence, "word": ""})
    return problems


def check_figures(outline: dict[str, Any], text: str) -> list[dict[str, str]]:
    """Whatever is rewritten, no figure of the notes may get lost."""
    wanted = re.findall(r"\d[\d.,:]*\d|\d", " ".join(note for part in outline["sections"] for note in part["notes"]))
    return [{"rule": "figure", "sentence": "", "word": figure} for figure in wanted if figure not in text]
