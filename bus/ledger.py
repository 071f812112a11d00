"""The ledger: what the runtime itself remembers of a role's own facts, folded beside the Decider's state."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bus.channel import Partition, Position, partition_number
from bus.fence import Fences
from bus.reader import Place
from bus.record import Fact, Heard, HeardInput, PostCount, Posted

Peer = tuple[str, int]
"""The other side of posts: a role and a partition number."""


class Post(NamedTuple):
    """A posted fact on its way: its number, and the fact as it stands at home."""

    number: int
    fact: Posted
    fact_id: str
    at: Position
    trace: str


class LedgerSaved(NamedTuple):
    """A ledger as a snapshot keeps it; what follows from the newest `Heard` is restored from it."""

    newest_heard: Heard | None
    last: dict[str, int]
    acknowledged: dict[Peer, int]
    open_posts: dict[Peer, deque[Post]]
    time_ms: int
    numbers: dict[Peer, int]


class Ledger:
    """Positions and fences of the newest `Heard`, the last cause on each input, and the numbering of posts.

    Only admitted facts are noted, in log order, so every owner comes to the same ledger. What is heard after the
    newest `Heard` (posts received and acknowledged) is counted again when the inputs are read again.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.inputs: dict[str, Place] = {}
        self.last: dict[str, int] = {}
        self.received: dict[Peer, int] = {}
        self.acknowledged: dict[Peer, int] = {}
        self.open_posts: dict[Peer, deque[Post]] = {}
        self.time_ms = 0
        self.newest_heard: Heard | None = None
        self._numbers: dict[Peer, int] = {}

    def note_cause(self, cause: str) -> None:
        """A decision with this cause stands in the log."""
        if cause and not cause.startswith("deadline:"):
            at = Position.parse(cause)
            if at.offset > self.last.get(at.channel, -1):
                self.last[at.channel] = at.offset

    def note(self, fact: Fact, fact_id: str, at: Position, trace: str) -> Post | None:
        """One admitted fact of the role; gives the post that it now wants sent, if it is one."""
        if isinstance(fact, Posted):
            return self._number(fact, fact_id, at, trace)
        if isinstance(fact, Heard):
            self._restore(fact)
        return None

    def _number(self, fact: Posted, fact_id: str, at: Position, trace: str) -> Post:
        peer = (fact.addressee, partition_number(fact.address(), self._partitions))
        number = self._numbers.get(peer, 0)
        self._numbers[peer] = number + 1
        post = Post(number, fact, fact_id, at, trace)
        self.open_posts.setdefault(peer, deque()).append(post)
        return post

    def _restore(self, heard: Heard) -> None:
        self.newest_heard = heard
        self.inputs = {i.channel: Place(i.offset, Fences.restored(i.fences).by_role) for i in heard.inputs}
        self.received = {(p.role, p.partition): p.number for p in heard.received}
        for count in heard.acknowledged:
            self.acknowledge((count.role, count.partition), count.number)

    def saved(self) -> LedgerSaved:
        """A copy that later changes do not touch."""
        posts = {peer: deque(queue) for peer, queue in self.open_posts.items()}
        acknowledged, numbers = dict(self.acknowledged), dict(self._numbers)
        return LedgerSaved(self.newest_heard, dict(self.last), acknowledged, posts, self.time_ms, numbers)

    @classmethod
    def restored(cls, partitions: int, saved: LedgerSaved) -> Ledger:
        ledger = cls(partitions)
        ledger.last, ledger.acknowledged, ledger.open_posts = saved.last, saved.acknowledged, saved.open_posts
        ledger.time_ms, ledger._numbers = saved.time_ms, saved.numbers
        if saved.newest_heard is not None:
            ledger._restore(saved.newest_heard)
        return ledger

    def receive(self, sender: Peer, number: int) -> bool:
        """Whether a post is the next one of its sender; counts it if so."""
        if number != self.received.get(sender, 0):
            return False
        self.received[sender] = number + 1
        return True

    def acknowledge(self, addressee: Peer, number: int) -> None:
        """The addressee has decided all posts below this number. What nobody was sent, nobody can have decided: anybody
        can append such a word."""
        if not self.acknowledged.get(addressee, 0) < number <= self._numbers.get(addressee, 0):
            return
        self.acknowledged[addressee] = number
        posts = self.open_posts.get(addressee, deque())
        while posts and posts[0].number < number:
            posts.popleft()

    def unacknowledged(self) -> Iterator[tuple[Peer, Post]]:
        """All posts not known to be acknowledged, in order for each addressee."""
        for peer in sorted(self.open_posts):
            yield from ((peer, post) for post in self.open_posts[peer])

    def heard(self, places: dict[str, Place]) -> Heard:
        """The `Heard` fact for these places of the inputs."""
        return Heard(
            inputs=tuple(
                HeardInput(channel=channel, offset=place.offset, fences=Fences(dict(place.fences)).saved())
                for channel, place in sorted(places.items())
            ),
            received=_counts(self.received),
            acknowledged=_counts(self.acknowledged),
        )


def _counts(numbers: dict[Peer, int]) -> tuple[PostCount, ...]:
    return tuple(PostCount(role=role, partition=p, number=n) for (role, p), n in sorted(numbers.items()))


def addressed(post: Post, homes: Mapping[str, str], partitions: int) -> Partition:
    """The partition that a post goes to."""
    return Partition(homes[post.fact.addressee], partition_number(post.fact.address(), partitions))
