"""The worker's side of the `model` agent: the order for the program that holds the conversation."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from services.factory.agents.briefing import read_profession, write_briefing
from services.factory.agents.command import read_last_line
from services.factory.agents.parameters import Parameters
from services.factory.agents.port import Assignment, Outcome
from services.factory.agents.printed import Stdout
from services.factory.agents.program import CommandBroken, surround

KEY = "OPENAI_API_KEY"
"""The variable that the endpoint's key is in."""

PROGRAM = Path(__file__).parent / "__main__.py"

TURNS_MAX = 1_000
TURNS_DEFAULT = 30
TIMEOUT_S_DEFAULT = 120
_ANSWER_TOKENS_MAX = 1_000_000


class ModelDialect:
    """One attempt of a model."""

    has_line = True
    provider = ""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.command = (sys.executable, "-I", str(PROGRAM))
        self.environment = surround(assignment, assignment.home)
        self.stdin = json.dumps(write_order(assignment), ensure_ascii=False).encode(errors="replace")

    @property
    def spent(self) -> Mapping[str, int]:
        return {}

    def hear(self, line: bytes) -> int | None:
        """Only the last line matters."""

    def conclude(self, stdout: Stdout) -> Outcome:
        return read_last_line(stdout, self._assignment)


def write_order(assignment: Assignment) -> dict[str, object]:
    """All that the program needs to know but the key."""
    given = Parameters("model", assignment.parameters)
    order = {
        "model": given.text("model"),
        "base_url": given.text("base_url"),
        "has_tools": given.flag("tools", True),
        "temperature": given.number("temperature", 10),
        "tokens_max": given.whole("max_tokens", 0, _ANSWER_TOKENS_MAX),
        "turns_max": given.whole("max_turns", TURNS_DEFAULT, TURNS_MAX),
        "timeout_s": given.whole("timeout_seconds", TIMEOUT_S_DEFAULT, 3_600),
        "input_price": given.number("input_price", 1e6) or 0,
        "output_price": given.number("output_price", 1e6) or 0,
    }
    given.close()
    if not order["model"]:
        raise CommandBroken('the agent model needs a "model", from the stage\'s "with", the instance or the profession')
    return {
        **order,
        "system": read_profession(assignment),
        "prompt": write_briefing(assignment),
        "directory": assignment.directory,
        "outputs": dict(assignment.outputs),
    }
