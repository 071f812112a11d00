"""The architect: chooses names, types and the order of the table."""

import json
import keyword
import re
import sys
from decimal import Decimal
from typing import Any


def design(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Money and weights are decimals: binary fractions cannot hold a cent."""
    requirements = json.loads(inputs["requirements"])
    brackets = sorted(requirements["brackets"], key=lambda bracket: Decimal(bracket["up_to_kg"]))
    plan = {
        "title": requirements["title"],
        "module": name_module(requirements["title"]),
        "function": "find_price",
        "refusal": "WeightRefused",
        "brackets": brackets,
        "express_factor": requirements["express_factor"],
        "decimals": max(len(bracket["price"].partition(".")[2]) for bracket in brackets),
    }
    print(f"module {plan['module']} with a table of {len(brackets)} rows", file=sys.stderr)
    return {"module": plan["module"]}, {"design": json.dumps(plan, indent=1)}


def name_module(title: str) -> str:
    """A name that can be imported, and is not taken by the language."""
    name = re.sub(r"\W+", "_", title.lower()).strip("_")
    taken = keyword.iskeyword(name) or name in sys.stdlib_module_names
    return f"prices_{name}" if taken or not name.isidentifier() else name
