"""An owner in the model of posts: one session after the other of one home, with the rules that it follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.post_model import World


@dataclass(frozen=True)
class Claim:
    session: str


@dataclass(frozen=True)
class Fact:
    """Decided by the owner of the home it stands in; `to` makes it a post."""

    session: str
    cause: tuple[str, int]  # home and offset
    to: str = ""
    note: tuple[int, dict[str, int], dict[str, int]] | None = None  # position, received, acknowledged


@dataclass(frozen=True)
class Ask:
    """From outside: decide on posts to these homes."""

    to: tuple[str, ...]


@dataclass(frozen=True)
class Post:
    sender: str
    number: int
    at: int  # where the fact stands in the sender's home


@dataclass(frozen=True)
class Acknowledged:
    addressee: str
    number: int


@dataclass
class Fold:
    """What the own facts of a home lead to."""

    last: int = -1  # newest cause at home
    posts: dict[str, list[int]] = field(default_factory=dict)  # positions of posted facts by addressee: number is index
    position: int = 0
    received: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)

    def apply(self, at: int, fact: Fact, *, by_sender: bool) -> None:
        if fact.note:
            self.position, self.received, self.acknowledged = fact.note[0], dict(fact.note[1]), dict(fact.note[2])
            return
        self.last = max(self.last, fact.cause[1])
        if fact.to:
            self.posts.setdefault("*" if by_sender else fact.to, []).append(at)


class Owner:
    """One session of a home at a time; the world makes it owner, crashes it, or lets it sleep."""

    def __init__(self, world: World, home: str, name: str) -> None:
        self.world, self.home, self.name = world, home, name
        self.start_session()

    def start_session(self) -> None:
        """Everything in memory goes with the session."""
        self.session = f"{self.name}-{self.world.rng.getrandbits(40)}"
        self.claimed_at = -1
        self.fold, self.confirmed = Fold(), -1
        self.position, self.read = 0, 0
        self.target = 0
        self.sent: dict[str, int] = {}
        self.zero: dict[str, int] = {}
        self.left: list[tuple[str, int]] = []
        self.to_acknowledge: list[tuple[int, str, int]] = []
        self.decided = 0  # facts sent home
        self.read_back = 0

    def step(self) -> None:
        log = self.world.logs[self.home]
        if self.claimed_at < 0:
            self.claim(log)
        elif self.world.rng.random() < 0.5:
            self.read_one(log)
        else:
            self.hear_one(log)

    def claim(self, log: list[object]) -> None:
        """Take the home and fold it. That claims are fenced is another model's affair: this one counts at once."""
        self.claimed_at = len(log)
        log.append(Claim(self.session))
        for at, fact in self.world.counting(self.home):
            self.fold.apply(at, fact, by_sender=self.world.broken == "number_by_sender")
        self.read, self.position, self.target = len(log), self.fold.position, len(log)
        self.recovered = self.fold.last
        self.sent = dict(self.fold.acknowledged)
        self.break_recovery(self.world.broken)

    def break_recovery(self, broken: str) -> None:
        """Take a rule away, if it is one of those that a new owner follows."""
        posts = self.fold.posts
        if broken == "received_forgotten":
            self.fold.received = {}
        if broken == "numbers_anew":
            self.zero = dict(self.sent)
        if broken in ("no_repeat", "new_before_repeated"):
            old = [(to, n) for to in posts for n in range(self.sent.get(to, 0), len(posts[to]))]
            self.left = old if broken == "new_before_repeated" else []
            self.sent = {to: len(numbers) for to, numbers in posts.items()}

    def is_live(self) -> bool:
        """All that stood at home when it was claimed has been heard."""
        return self.position >= self.target

    def read_one(self, log: list[object]) -> None:
        """Read back: what counts is followed by its effects."""
        if self.read >= len(log):
            if self.is_live() or self.left:
                self.repeat()
            return
        at, record = self.read, log[self.read]
        self.read += 1
        if isinstance(record, Claim):
            self.start_session()
        elif isinstance(record, Fact) and record.session == self.session:
            if not record.note:
                self.fold.apply(at, record, by_sender=self.world.broken == "number_by_sender")
            self.read_back += 1
            self.acknowledge()

    def repeat(self) -> None:
        """Send all posts that are not known to be acknowledged and were not sent by this session, in order."""
        newest_first = self.world.broken == "repeat_newest_first"
        for to, posts in self.fold.posts.items():
            start = max(self.sent.get(to, 0), self.fold.acknowledged.get(to, 0))
            for number in sorted(range(start, len(posts)), reverse=newest_first):
                self.post(to, number)
            self.sent[to] = max(start, len(posts))
        if self.is_live():
            left, self.left = self.left, []
            for to, number in left:
                self.post(to, number)

    def post(self, to: str, number: int) -> None:
        at = self.fold.posts[to][number]
        fact = self.world.logs[self.home][at]
        assert isinstance(fact, Fact)
        self.world.send(self.session, fact.to, Post(self.home, number - self.zero.get(to, 0), at))

    def hear_one(self, log: list[object]) -> None:
        """Decide on the next input, if any."""
        if self.position >= len(log):
            return
        at, record = self.position, log[self.position]
        self.position += 1
        match record:
            case Ask():
                self.decide(at, [Fact(self.session, (self.home, at), to) for to in record.to])
            case Post():
                self.hear_post(at, record)
            case Acknowledged():
                known = self.fold.acknowledged.get(record.addressee, 0)
                self.fold.acknowledged[record.addressee] = max(known, record.number)
            case Fact() if record.to == self.home and self.world.broken == "fact_heard_too":
                self.decide(at, [Fact(self.session, (self.home, at))])
        if self.is_live() and self.world.rng.random() < 0.1:
            self.note()

    def hear_post(self, at: int, post: Post) -> None:
        broken = self.world.broken
        expected = self.fold.received.get(post.sender, 0)
        if broken == "any_number" or post.number == expected or (broken == "higher_counts" and post.number > expected):
            self.decide(at, [Fact(self.session, (self.home, at))])
            expected = post.number + 1
            self.fold.received[post.sender] = max(expected, self.fold.received.get(post.sender, 0))
        if post.number < expected:
            number = self.fold.received[post.sender]
        elif broken == "acknowledge_ignored":
            number = post.number + 1
        else:
            return
        wait = 0 if broken == "acknowledge_early" else self.decided
        self.to_acknowledge.append((wait, post.sender, number))
        self.acknowledge()

    def acknowledge(self) -> None:
        while self.to_acknowledge and self.to_acknowledge[0][0] <= self.read_back:
            _, sender, number = self.to_acknowledge.pop(0)
            self.world.send(self.session, sender, Acknowledged(self.home, number))

    def decide(self, at: int, facts: list[Fact]) -> None:
        """One batch, unless it was decided before."""
        if at <= self.recovered or not facts:
            return
        self.decided += len(facts)
        self.world.send(self.session, self.home, *facts)
        if self.world.broken == "send_before_read_back":
            for fact in facts:
                self.guess(fact)

    def guess(self, fact: Fact) -> None:
        """Send a post whose fact is on its way, at the place where it ought to come to stand."""
        if fact.to:
            number = len(self.fold.posts.get(fact.to, ())) + self.ahead(fact.to)
            self.sent[fact.to] = number + 1
            self.world.send(self.session, fact.to, Post(self.home, number, len(self.world.logs[self.home])))

    def ahead(self, to: str) -> int:
        flying = (r for s, h, batch in self.world.flight if s == self.session and h == self.home for r in batch)
        return max(0, sum(isinstance(r, Fact) and r.to == to for r in flying) - 1)

    def note(self) -> None:
        """Record how far was heard, once all that was decided on it is in front of the note."""
        position = self.position + {"noted_ahead": 1, "noted_behind": -1}.get(self.world.broken, 0)
        note = (position, dict(self.fold.received), dict(self.fold.acknowledged))
        self.decided += 1
        self.world.send(self.session, self.home, Fact(self.session, (self.home, -1), note=note))

    def failed_append(self, session: str, *, home: bool) -> None:
        """An append of a session failed or its outcome is unknown."""
        if session == self.session and (home or self.world.broken != "session_goes_on"):
            self.start_session()
