"""An answer in prose, read for what a stage wants: a result as JSON, and the text of the one output not yet written."""

import json
import os
from collections.abc import Mapping
from typing import Any

from services.factory.agents.envelope import write_result
from services.factory.agents.port import Outcome, Output

_FENCE = "```"


def read_answer(text: str, declared: Mapping[str, str], usage: Mapping[str, int]) -> Outcome:
    """The outcome of an attempt whose agent ended well with these words; `declared` are the paths of its outputs."""
    result, body = split_answer(text)
    missing = [name for name, path in declared.items() if not os.path.lexists(path)]
    outputs = {missing[0]: Output(text=body)} if len(missing) == 1 and body else {}
    return Outcome(ok=True, result=write_result(result), outputs=outputs, quality=_quality(result), usage=dict(usage))


def split_answer(text: str) -> tuple[dict[str, Any], str]:
    """The JSON object at its end, or that it is, and the rest; without one, no result and all of it."""
    stripped = text.strip()
    if stripped.endswith(_FENCE):
        start = stripped.rfind(_FENCE + "json")
        found = _parse(stripped[start + len(_FENCE + "json") : -len(_FENCE)]) if start >= 0 else None
        if found is not None:
            body = stripped[:start].rstrip()
            return found, body or json.dumps(found, ensure_ascii=False, indent=2)
    return _parse(stripped) or {}, stripped


def _parse(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _quality(result: Mapping[str, Any]) -> float:
    found = result.get("quality")
    if isinstance(found, bool) or not isinstance(found, int | float):
        return -1.0
    return float(found) if 0 <= found <= 1 else -1.0
