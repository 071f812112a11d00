"""The Decider: the pure core of every role, and the draft of one decision.

A role is four functions over one immutable state, which is the fold of the role's own facts on one partition:

    initial() -> State
    decide(draft, heard)            adds facts to the draft; may ignore a known record that does not concern it
    evolve(state, fact, time_ms) -> State     may ignore nothing: an unknown fact raises
    deadlines(state) -> Deadlines   when it wants to be woken

`decide` sees `draft.state`, `draft.now_ms` and the heard envelope, and nothing else: no clock, no randomness, no I/O.
Each `draft.add(fact)` evolves `draft.state` at once, so that later facts of the decision build on earlier ones and
nothing is folded twice.

When a deadline comes, `heard.record` is a `DeadlineReached`; the decision must move or clear that deadline.
An input that somebody waits on always leads to a fact (queued, refused …). Deciders are idempotent by id: the same
input twice changes nothing. Keep collections in `immutables.Map` or tuples; its iteration order depends on the hash
seed, so sort before you iterate.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bus.deadline import Deadlines
from bus.errors import UnknownRecordType
from bus.memory import Memory, Recalled
from bus.record import Envelope, Fact, Posted, Record, derive_id

S = TypeVar("S")

DECISION_RECORDS_MAX = 500
"""Most facts in one decision; more become a cursor in state, continued by an immediate deadline."""

DECISION_BYTES_MAX = 512 * 1024
"""Most bytes in one decision."""


class Draft(Generic[S]):
    """One decision in the making: its facts, and the state that they lead to."""

    __slots__ = ("_evolve", "blobs", "cause_id", "facts", "kept", "now_ms", "recalled", "role", "state")

    def __init__(
        self,
        role: "Role[S]",
        state: S,
        cause_id: str,
        now_ms: int,
        blobs: Mapping[str, bytes | None] | None = None,
        recalled: Recalled | None = None,
    ) -> None:
        self.role, self.state, self.cause_id, self.now_ms = role.name, state, cause_id, now_ms
        # By digest, what `needs` asked for; None where the store says that it has no such blob.
        self.blobs: Mapping[str, bytes | None] = blobs or {}
        self.recalled = recalled  # what the memory of the role asked for
        self.facts: list[Fact] = []
        self.kept: dict[str, bytes] = {}  # by digest, what the facts name that the decision made itself
        self._evolve = role.evolve

    def add(self, fact: Fact) -> None:
        """Conclude this fact."""
        self.facts.append(fact)
        self.state = self._evolve(self.state, fact, self.now_ms)

    def keep(self, content: bytes) -> str:
        """The digest of a content that this decision made and its facts name; it is durable before they are.

        The input may be decided again when it is, so the content must not depend on `now_ms`.
        """
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.kept[digest] = content
        return digest

    def new_id(self, *parts: object) -> str:
        """An id for a new aggregate that depends on the cause and the parts alone."""
        return derive_id(self.role, self.cause_id, *parts)


def _needs_nothing(state: Any, heard: Envelope) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role(Generic[S]):
    """A role: its place on the map, and its Decider."""

    name: str  # "orchestrator.runs"
    home: str  # the one channel that it writes
    hears: frozenset[type[Record]]  # asks, reports, posts and others' facts that it decides on
    says: frozenset[type[Fact]]
    quarantines: frozenset[str] = frozenset()  # channels whose undecodable records it sets aside; one role for each
    initial: Callable[[], S]
    decide: Callable[[Draft[S], Envelope], None]
    evolve: Callable[[S, Fact, int], S]
    deadlines: Callable[[S], Deadlines] = field(default=lambda state: Deadlines())
    needs: Callable[[S, Envelope], tuple[str, ...]] = _needs_nothing
    """Digests whose content `decide` wants for this input; the runtime loads them first and the input waits."""
    memory: Memory | None = None
    """How it recalls an aggregate of its own as of an earlier point; the input waits for that too."""

    @property
    def service(self) -> str:
        return self.name.partition(".")[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The channels it reads: its home and those of what it hears, sorted."""
        return tuple(sorted({self.home, *map(self._channel, self.hears)}))

    def heard_on(self, channel: str) -> frozenset[str]:
        """Names under which it hears records on a channel: posts addressed to it as "post:NAME", never the facts behind
        them."""
        kinds = [kind for kind in self.hears if self._channel(kind) == channel]
        return frozenset(f"post:{kind.__name__}" if self._is_addressee(kind) else kind.__name__ for kind in kinds)

    def _channel(self, kind: type[Record]) -> str:
        """Posts come to the home of their addressee, wherever the facts behind them stand."""
        return self.home if self._is_addressee(kind) else kind.channel

    def _is_addressee(self, kind: type[Record]) -> bool:
        return issubclass(kind, Posted) and kind.addressee == self.name


def fold_by_type(role: str, folds: Mapping[type[Fact], Callable[[S, Any, int], S]]) -> Callable[[S, Fact, int], S]:
    """An `evolve` that calls the fold of the fact's type. It raises UnknownRecordType for one that has none."""

    def evolve(state: S, fact: Fact, time_ms: int) -> S:
        fold = folds.get(type(fact))
        if fold is None:
            raise UnknownRecordType(f"{role} cannot fold a {type(fact).__name__}")
        return fold(state, fact, time_ms)

    return evolve
