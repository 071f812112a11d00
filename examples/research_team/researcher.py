"""The researcher: what is to be measured, how often, and how precise it has to be."""

import json
from typing import Any

from sorting import METHODS


class QuestionUnclear(Exception):
    """The question cannot be answered by an experiment; the message says why."""


def plan(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    given = dict(_split(line) for line in inputs["question"].splitlines() if line.strip())
    missing = {"question", "methods", "lengths", "repeats", "seed", "precision"} - given.keys()
    if missing:
        raise QuestionUnclear(f"the question does not say {', '.join(sorted(missing))}")
    methods = [name.strip() for name in given["methods"].split(",")]
    if len(methods) != 2 or not set(methods) <= METHODS.keys():
        raise QuestionUnclear(f"methods must be two of {', '.join(METHODS)}")
    try:
        design = {
            "question": given["question"],
            "methods": methods,
            "lengths": sorted({int(part) for part in given["lengths"].split(",")}),
            "repeats": int(given["repeats"]),
            "seed": int(given["seed"]),
            "precision": float(given["precision"]),
        }
    except ValueError as error:
        raise QuestionUnclear(f"lengths, repeats, seed and precision are numbers: {error}") from error
    if design["lengths"][0] < 1 or design["repeats"] < 2:
        raise QuestionUnclear("lengths are at least 1 and repeats at least 2")
    return {"measurements": len(design["lengths"]) * design["repeats"] * 2}, {"design": json.dumps(design)}


def _split(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise QuestionUnclear(f"`{line.strip()}` is not a name, a colon and a value")
    return name.strip(), value.strip()
