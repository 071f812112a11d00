"""Executable model of posts (law 4 of the design): how what one owner decides reaches the owner of another key.

Senders A and B have a home each, of which one session at a time is the owner and others may be zombies; who owns a home
is settled by claims, which `ownership` models and this takes for granted: an append to a home counts only if its
session holds the newest claim. All that is modelled here is what goes between homes: posts, which are asks in the
addressee's home, and acknowledgements, which are reports in the sender's. Everybody may write those, also zombies, at
any time; the wire keeps each session in order, loses batches in the middle, loses acknowledgements of appends and
delivers as late as it likes. Random schedules; the checker knows only the logs. `python -m tests.simulation.post_model
[SCHEDULES]`: with all rules every schedule must hold; each rule of BREAKS, taken away, must be missed.
"""

from __future__ import annotations

import random
import sys
from collections import Counter

from tests.simulation.post_owner import Ask, Claim, Fact, Owner, Post

BREAKS = {
    "any_number": "the addressee acts on every post, whatever its number",
    "higher_counts": "the addressee acts on a post with a higher number than the next",
    "no_repeat": "a new owner does not repeat posts that are not known to be acknowledged",
    "repeat_newest_first": "a new owner repeats its posts in another order",
    "new_before_repeated": "a new owner sends new posts before it repeats the old ones",
    "session_goes_on": "after an append of a post failed the owner goes on without repeating",
    "numbers_anew": "a new owner numbers its posts from zero",
    "number_by_sender": "posts are numbered for each sender alone, not for each addressee",
    "send_before_read_back": "a post is sent before its fact is read back",
    "acknowledge_ignored": "the addressee acknowledges posts that it ignored",
    "received_forgotten": "a new owner of the addressee hears on from its last note, but forgets the numbers there",
    "noted_ahead": "the addressee notes a position ahead of the numbers that it received",
    "fact_heard_too": "the addressee acts on the fact behind the post as well",
}

REDUNDANT = {
    "acknowledge_early": "the addressee acknowledges before its decision is in the log",
    "noted_behind": "the addressee notes a position behind the numbers that it received",
}
"""Rules on which nothing depends: a post stands in the addressee's own log, and whoever owns that hears it again."""

HOMES = ("A", "B")


class World:
    """The logs, what is on its way to them, and who acts when."""

    def __init__(self, schedule: int, broken: str = "") -> None:
        self.rng, self.broken = random.Random(schedule), broken
        self.logs: dict[str, list[object]] = {home: [] for home in HOMES}
        self.flight: list[tuple[str, str, tuple[object, ...]]] = []
        self.owners = [Owner(self, home, f"{home}{n}") for home in HOMES for n in range(2)]

    def send(self, session: str, home: str, *batch: object) -> None:
        self.flight.append((session, home, batch))

    def counting(self, home: str) -> list[tuple[int, Fact]]:
        """The facts of the newest claim at each moment."""
        newest, found = "", []
        for at, record in enumerate(self.logs[home]):
            if isinstance(record, Claim):
                newest = record.session
            elif isinstance(record, Fact) and record.session == newest:
                found.append((at, record))
        return found

    def deliver(self, *, quiet: bool = False) -> None:
        """One batch reaches its log, the first of its session there; or is lost, or only its acknowledgement is, and
        its session hears of that if it lives."""
        session, home, batch = self.rng.choice(self.flight)
        at = next(i for i, (s, h, _) in enumerate(self.flight) if (s, h) == (session, home))
        batch = self.flight.pop(at)[2]
        dice = 1.0 if quiet else self.rng.random()
        if dice < 0.06 and isinstance(batch[0], Fact):
            # Nothing behind a gap at home counts, as the other model shows: the rest of that session is lost with it.
            self.flight = [f for f in self.flight if f[:2] != (session, home)]
        if dice < 0.1:
            for owner in self.owners:
                owner.failed_append(session, home=isinstance(batch[0], Fact))
        if dice >= 0.06:
            self.land(home, session, batch)

    def land(self, home: str, session: str, batch: tuple[object, ...]) -> None:
        newest = next((r.session for r in reversed(self.logs[home]) if isinstance(r, Claim)), "")
        if not isinstance(batch[0], Fact) or session == newest:
            self.logs[home].extend(batch)

    def run(self, steps: int = 400) -> None:
        rng = self.rng
        for _ in range(steps):
            dice = rng.random()
            if dice < 0.08:
                self.logs[rng.choice(HOMES)].append(Ask(tuple(rng.choices(HOMES, k=rng.choice((1, 1, 2, 3))))))
            elif dice < 0.40 and self.flight:
                self.deliver()
            elif dice > 0.99:
                rng.choice(self.owners).start_session()
            else:
                lead = rng.random() < 0.97
                (self.owners[rng.choice((0, 2))] if lead else rng.choice(self.owners)).step()
        self.owners = [self.owners[0], self.owners[2]]
        for _ in range(1500):
            if self.flight:
                self.deliver(quiet=True)
            for owner in self.owners:
                owner.step()

    def check(self) -> str:
        """Each posted fact was acted on once by its addressee, in the order of the facts of each sender."""
        acted: dict[str, list[tuple[str, int]]] = {home: [] for home in HOMES}
        for home in HOMES:
            for at, fact in self.counting(home):
                cause = self.logs[home][fact.cause[1]] if fact.cause[1] >= 0 else None
                if isinstance(cause, Post):
                    acted[home].append((cause.sender, cause.at))
                elif isinstance(cause, Fact):
                    return f"{home} acted at {at} on a fact, not on its post"
        for sender in HOMES:
            for addressee in HOMES:
                if problem := self.compare(sender, addressee, acted[addressee]):
                    return problem
        return self.asks()

    def compare(self, sender: str, addressee: str, acted: list[tuple[str, int]]) -> str:
        wanted = [at for at, fact in self.counting(sender) if fact.to == addressee]
        found = [at for home, at in acted if home == sender]
        way = f"from {sender} to {addressee}"
        if strange := [at for at in found if at not in wanted]:
            return f"acted on a post of what does not count {way}: {strange[0]}"
        if twice := [at for at, times in Counter(found).items() if times > 1]:
            return f"acted twice on a post {way}: {twice[0]}"
        if lost := [at for at in wanted if at not in found]:
            return f"lost {len(lost)} posts {way}"
        return "" if found == wanted else f"another order {way}"

    def asks(self) -> str:
        for home in HOMES:
            causes = Counter(fact.cause[1] for _, fact in self.counting(home) if not fact.note)
            for at, record in enumerate(self.logs[home]):
                if isinstance(record, Ask) and causes[at] != len(record.to):
                    return f"{home} decided {causes[at]} of {len(record.to)} for the ask at {at}"
        return ""


def first_problem(schedules: int, broken: str) -> str:
    """What is wrong in the first schedule in which anything is."""
    for schedule in range(schedules):
        world = World(schedule, broken)
        world.run()
        if problem := world.check():
            return f"schedule {schedule}: {problem}"
    return ""


def main(arguments: list[str]) -> int:
    """Print a line for each rule; the number of those that do not behave as they should is the exit code."""
    schedules = int(arguments[0]) if arguments else 500
    wrong = 0
    for broken, meaning in ({"": "all rules"} | BREAKS | REDUNDANT).items():
        found = first_problem(schedules, broken)
        good = bool(found) == (broken in BREAKS)
        wrong += not good
        told = found or f"{schedules} schedules hold"
        sys.stdout.write(f"{'ok ' if good else 'BAD'} {broken or meaning:24} {told}\n")
        sys.stdout.flush()
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
