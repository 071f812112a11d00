"""The developer: writes the module from the design, and mends it by what the tests say."""

import json
import sys
from decimal import Decimal
from typing import Any

Design = dict[str, Any]
Failure = dict[str, Any]

_MODULE = '''\
{docstring}

from decimal import ROUND_HALF_UP, Decimal

TABLE = (
{table}
)
EXPRESS_FACTOR = Decimal("{express_factor}")
CENT = Decimal(1).scaleb(-{decimals})


class {refusal}(ValueError):
    """The parcel is too heavy, or weighs nothing."""


def {function}(kg: Decimal, express: bool = False) -> Decimal:
    if kg <= 0:
        raise {refusal}(f"a parcel cannot weigh {{kg}} kg")
    for limit, price in TABLE:
        if kg {comparison} limit:
            return (price * EXPRESS_FACTOR if express else price).quantize(CENT, ROUND_HALF_UP)
    raise {refusal}(f"{{kg}} kg is more than {{TABLE[-1][0]}} kg")
'''


def develop(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """“Up to” can be read with or without the limit itself; without evidence this developer takes it without."""
    plan: Design = json.loads(inputs["design"])
    failures: list[Failure] = json.loads(inputs["feedback"])["failures"] if "feedback" in inputs else []
    misread = limit_was_misread(plan, failures)
    with_limit = ("kg <= limit" in inputs.get("module", "")) != misread
    if failures:
        reading = "“up to” was read the wrong way" if misread else "nothing that another reading would mend"
        print(f"{len(failures)} failures show {reading}", file=sys.stderr)
    return {"limit_included": with_limit}, {"module": write_module(plan, "<=" if with_limit else "<")}


def limit_was_misread(plan: Design, failures: list[Failure]) -> bool:
    """True when parcels exactly at a limit failed."""
    limits = {Decimal(bracket["up_to_kg"]) for bracket in plan["brackets"]}
    return any(Decimal(failure["kg"]) in limits for failure in failures)


def write_module(plan: Design, comparison: str) -> str:
    rows = [f'    (Decimal("{row["up_to_kg"]}"), Decimal("{row["price"]}")),' for row in plan["brackets"]]
    names = {name: plan[name] for name in ("express_factor", "decimals", "refusal", "function")}
    docstring = repr(f"{plan['title']}, as the specification has them.")
    return _MODULE.format(docstring=docstring, table="\n".join(rows), comparison=comparison, **names)
