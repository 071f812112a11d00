"""The experimenter: sorts random lists and counts; asked again, with as many more as the analyst wants."""

import json
import random
import sys
from typing import Any

from sorting import METHODS


def experiment(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    design = json.loads(inputs["design"])
    analysis = json.loads(inputs.get("analysis", "{}"))
    repeats = analysis.get("repeats_wanted", design["repeats"])
    chance = random.Random(design["seed"])
    measured: dict[str, dict[str, list[int]]] = {name: {} for name in design["methods"]}
    for length in design["lengths"]:
        lists = [[chance.randrange(1_000_000) for _ in range(length)] for _ in range(repeats)]
        for name in design["methods"]:
            measured[name][str(length)] = [METHODS[name](values) for values in lists]
        print(f"{repeats} lists of {length} sorted", file=sys.stderr)
    return {"repeats": repeats}, {"measurements": json.dumps({"repeats": repeats, "counts": measured})}
