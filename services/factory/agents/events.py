"""Lines that programs print as JSON events, and places of their own in an attempt's directory."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.factory.agents.briefing import read_profession
from services.factory.agents.envelope import ENVELOPE_BYTES_MAX, EnvelopeBroken
from services.factory.agents.port import Assignment
from services.factory.agents.printed import Stdout

PAUSE_MS = 10_000
"""How long a provider is left alone that wants fewer calls and does not say for how long."""

_LIMITED = re.compile(r"\b429\b|\brate.?limit", re.IGNORECASE)


def read_event(line: bytes) -> Mapping[str, Any]:
    """The object in a line; whatever else is printed is no event."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def count(found: Mapping[str, Any], *names: str) -> int:
    """The sum of these counts; what is no whole number counts nothing."""
    values = (found.get(name) for name in names)
    return sum(value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0)


def micros(cost: object) -> int:
    """A cost in millionths."""
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        return 0
    return round(cost * 1e6) if 0 <= cost < 1e9 else 0


def speaks_of_limit(words: str) -> bool:
    """Whether an error says that the provider wants fewer calls."""
    return bool(_LIMITED.search(words))


def explain_silence(stdout: Stdout, missing: str) -> EnvelopeBroken:
    """What to say where the event that ends everything never came."""
    if stdout.answer_length > ENVELOPE_BYTES_MAX:
        return EnvelopeBroken(f"its last line has {stdout.answer_length} bytes, over {ENVELOPE_BYTES_MAX}")
    if not stdout.answer:
        return EnvelopeBroken(f"nothing was printed on stdout; {missing}")
    last = stdout.answer[:80].decode(errors="replace")
    return EnvelopeBroken(f"{missing}; the last line on stdout is {last}")


def provider_of(base_url: str, otherwise: str) -> str:
    """The name that calls to an endpoint are counted under."""
    return urlsplit(base_url).netloc or otherwise


def make_state(assignment: Assignment) -> Path:
    """A directory for what the program keeps, new for each attempt."""
    state = Path(assignment.directory) / "state"
    state.mkdir(exist_ok=True)
    return state


def lay_rules(assignment: Assignment, name: str) -> None:
    """The profession, in the file of the working directory that the program reads by itself."""
    if text := read_profession(assignment):
        (Path(assignment.directory) / name).write_text(text + "\n", encoding="utf-8")
