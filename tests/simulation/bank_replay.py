"""I6: what an owner holds as read back equals the fold of the log up to there, after every step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bus.runtime import Runtime
from tests.bus.bank import LANGUAGE, ROLES
from tests.simulation.bank_lines import Book, Line, Place

KINDS = {kind.__name__: kind for kind in LANGUAGE}
ROLES_BY_NAME = {role.name: role for role in ROLES}


class Replay:
    """Folds a bank's log as it grows, in plain code, and remembers every state on the way."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._folded: dict[Place, dict[int, Any]] = {}
        self._last: dict[Place, Any] = {}
        self._compared: dict[Place, tuple[int, Any]] = {}
        self._unfoldable: list[str] = []
        self.compared = 0

    def read_on(self) -> None:
        """Fold what is new in the log."""
        for line in self._book.read():
            self._fold(line)

    def _fold(self, line: Line) -> None:
        role = ROLES_BY_NAME[line.role]
        state = self._last[line.place] if line.place in self._last else role.initial()
        if kind := KINDS.get(line.type):
            fact: Any = kind.model_validate(_tuples(line.body))
            try:
                state = role.evolve(state, fact, line.time_ms)
            except Exception as error:  # noqa: BLE001 — whatever it is, the log does not fold
                self._unfoldable.append(f"I6: {line.role} cannot fold {line.at}: {type(error).__name__}: {error}")
        self._last[line.place] = state
        self._folded.setdefault(line.place, {})[line.offset] = state

    def differences(self, runtimes: Iterable[Runtime]) -> Iterator[str]:
        """Compare with everything that these runtimes hold as confirmed now."""
        unfoldable, self._unfoldable = self._unfoldable, []
        yield from unfoldable
        for runtime in runtimes:
            for role, home, state, offset in runtime.confirmed():
                yield from self._compare((role, home), state, offset)

    def _compare(self, place: Place, state: Any, offset: int) -> Iterator[str]:
        if self._compared.get(place, (None, None)) == (offset, id(state)):
            return
        self._compared[place] = (offset, id(state))
        self.compared += 1
        folded = self._folded.get(place, {})
        behind = [known for known in folded if known <= offset]
        expected = folded[max(behind)] if behind else ROLES_BY_NAME[place[0]].initial()
        if state != expected:
            yield f"I6: {place[0]} holds a state at {place[1]}/{offset} that the log does not fold to"

    def states(self) -> dict[str, Any]:
        """The last state of each role on each partition."""
        return {f"{role}@{partition}": state for (role, partition), state in sorted(self._last.items())}


def _tuples(body: Any) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}
