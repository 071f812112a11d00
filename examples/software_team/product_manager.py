"""The product manager: reads the specification and writes down rules and examples that can be checked one by one."""

import json
import re
import sys
from typing import Any

_NUMBER = r"(\d+(?:\.\d+)?)"
_BRACKET = re.compile(rf"Up to {_NUMBER} kg it costs {_NUMBER}\.?$")
_EXPRESS = re.compile(rf"Express costs {_NUMBER} times as much\.?$")
_COSTS = re.compile(rf"{_NUMBER} kg( express)? costs {_NUMBER}\.?$")
_REFUSED = re.compile(rf"{_NUMBER} kg( express)? is refused\.?$")
_BACKGROUND = re.compile(r"(A parcel has|Heavier parcels are refused)")


class SpecificationUnclear(Exception):
    """What the specification should say more clearly, and in which line."""


def specify(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    title, *lines = [line.strip() for line in inputs["spec"].splitlines()] or [""]
    requirements: dict[str, Any] = {"title": title, "brackets": [], "express_factor": "1", "examples": []}
    for number, line in enumerate(lines, start=2):
        if line and line != "Examples":
            _read(line, number, requirements)
    if not title or not requirements["brackets"] or not requirements["examples"]:
        raise SpecificationUnclear("the specification needs a title, at least one price and at least one example")
    counts = {"rules": len(requirements["brackets"]), "examples": len(requirements["examples"])}
    print(f"{counts['rules']} price rules and {counts['examples']} examples", file=sys.stderr)
    return counts, {"requirements": json.dumps(requirements, indent=1)}


def _read(line: str, number: int, requirements: dict[str, Any]) -> None:
    if found := _BRACKET.match(line):
        requirements["brackets"].append({"up_to_kg": found[1], "price": found[2]})
    elif found := _EXPRESS.match(line):
        requirements["express_factor"] = found[1]
    elif found := _COSTS.match(line):
        requirements["examples"].append({"line": number, "kg": found[1], "express": bool(found[2]), "price": found[3]})
    elif found := _REFUSED.match(line):
        requirements["examples"].append({"line": number, "kg": found[1], "express": bool(found[2]), "price": None})
    elif not _BACKGROUND.match(line):
        raise SpecificationUnclear(f"line {number} is neither a rule nor an example: {line}")
