"""What a decision may recall: one of the role's own aggregates as of an earlier point of its home.

A role that does so has a `Memory`: it names what a decision wants to recall, and tells which facts are about it. The
fold goes through those alone, so an aggregate must be the fold of the facts that name it. A point is always the end of
a decision: one that is named inside a decision means its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bus.record import Envelope, Fact

if TYPE_CHECKING:
    from bus.decider import Role


class Recall(NamedTuple):
    """An aggregate as of a point: the offset `at` if that is none below 0, else the last decision that `mark` is of."""

    aggregate: str
    before: int  # only what stands before this offset at home counts, so that it is the same whenever it is recalled
    at: int = -1
    mark: str = ""


class Recalled(NamedTuple):
    """The state of the role as the facts about one aggregate alone make it, up to the point."""

    state: Any
    offset: int = -1  # of the last fact of the decision at the point; -1 where there is none
    time_ms: int = 0  # of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How a role recalls."""

    wants: Callable[[Any, Envelope], Recall | None]  # what a decision on this input wants, by the state before it
    needs: Callable[[Recalled, Envelope], tuple[str, ...]]  # the digests that it wants too, once that is known
    concerns: Callable[[str, Fact], bool]  # whether a fact is about the aggregate, which it names
    marks: Callable[[str, Fact], bool]  # whether a mark is of the decision with this fact


class Recollection:
    """The fold of what is wanted: `take` the decisions of the role in their order, until it says that it has all."""

    def __init__(self, role: Role[Any], wanted: Recall) -> None:
        assert role.memory is not None, f"{role.name} recalls nothing"
        self._role, self._memory, self._wanted = role, role.memory, wanted
        self._state = role.initial()
        self.found = Recalled(self._state)

    def take(self, facts: Sequence[Fact], first: int, last: int, time_ms: int) -> bool:
        """A decision from its first to its last offset, of which these facts name the aggregate; False once beyond
        the point."""
        wanted, memory = self._wanted, self._memory
        if 0 <= wanted.at < first:
            return False
        mine = [fact for fact in facts if memory.concerns(wanted.aggregate, fact)]
        for fact in mine:
            self._state = self._role.evolve(self._state, fact, time_ms)
        is_point = bool(mine) if wanted.at >= 0 else any(memory.marks(wanted.mark, fact) for fact in mine)
        if is_point:
            self.found = Recalled(self._state, last, time_ms)
        return True
