"""A stage's parameters as an agent reads them: each by its name and kind, and nothing left over."""

import json
from typing import Any

from services.factory.agents.program import CommandBroken

OF_THE_NODE = frozenset({"secrets"})
"""What the node reads before an agent sees them."""


class Parameters:
    """The `with` of a stage, over that of its profession; whatever is wrong raises CommandBroken."""

    def __init__(self, agent: str, text: str) -> None:
        self._agent = agent
        found = json.loads(text)
        if not isinstance(found, dict):
            raise CommandBroken(f"the parameters of the agent {agent} must be an object, found {text[:80]}")
        self._left: dict[str, Any] = {name: value for name, value in found.items() if name not in OF_THE_NODE}

    def text(self, name: str, default: str = "") -> str:
        found = self._take(name, default)
        if not isinstance(found, str) or "\0" in found:
            raise self._wrong(name, "a text", found)
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._take(name, [])
        if not isinstance(found, list) or not all(isinstance(each, str) and "\0" not in each for each in found):
            raise self._wrong(name, "a list of texts", found)
        return tuple(found)

    def flag(self, name: str, default: bool) -> bool:
        found = self._take(name, default)
        if not isinstance(found, bool):
            raise self._wrong(name, "true or false", found)
        return found

    def whole(self, name: str, default: int, most: int) -> int:
        found = self._take(name, default)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= most:
            raise self._wrong(name, f"a whole number from 0 to {most}", found)
        return found

    def number(self, name: str, most: float) -> float | None:
        found = self._take(name, None)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= most:
            raise self._wrong(name, f"a number from 0 to {most:g}", found)
        return float(found)

    def close(self) -> None:
        """There must be nothing that was not asked for."""
        if self._left:
            raise CommandBroken(f'the agent {self._agent} knows no parameter {min(self._left)!r} in "with"')

    def _take(self, name: str, default: Any) -> Any:
        found = self._left.pop(name, None)
        return default if found is None else found

    def _wrong(self, name: str, wanted: str, found: object) -> CommandBroken:
        words = f"the parameter {name!r} of the agent {self._agent} must be {wanted}, found {found!r}"
        return CommandBroken(words[:300])
