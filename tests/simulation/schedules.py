"""The schedules of the ownership model (laws 4-7), run against the bus itself: its fences, folds, feeds, sessions.

Three would-be owners of role R crash, pause, lose acknowledgements and wake up late. R hears asks, and the facts of
role S, which has claims and zombies of its own. The wire keeps each producer session in order, delivers as late as it
likes, may drop a dead session's tail and now and then loses a batch in the middle. The checker shares no code with the
owners. `python -m tests.simulation.schedules [SCHEDULES]`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

from bus.channel import Partition
from bus.clock import ManualClock
from bus.errors import AppendUnknown
from bus.log import Raw, Stored
from bus.reader import Admission, Place
from bus.record import Claimed, Origin, Record
from tests.simulation.schedule_check import check
from tests.simulation.schedule_owner import HOME, Owner, Pending, Wire
from tests.simulation.schedule_role import CODEC, Told, WidthAsked

ASKS, OTHER = Partition("data", 0), Partition("event", 0)
SINK = Partition("review", 0)


class World:
    """The logs, what is on its way to them, and who acts when."""

    def __init__(self, schedule: int, broken: str = "", *, is_slow: bool = False) -> None:
        self.rng, self.broken, self.clock = random.Random(schedule), broken, ManualClock()
        # A slow wire has much on its way when its sender gives it up.
        self.unknown, self.delivery = (0.07, 0.17) if is_slow else (0.02, 0.27)
        self.records: dict[Partition, list[Stored]] = {p: [] for p in (HOME, ASKS, OTHER, SINK)}
        self.flight: list[tuple[Wire, Partition, Sequence[Raw], Pending]] = []
        self.owners = [Owner(self) for _ in range(3)]
        self.others: list[list[Any]] = []  # sessions of the other role: session, epoch, next number
        self.other_epoch = 0

    def land(self, partition: Partition, batch: Sequence[Raw]) -> int:
        log = self.records[partition]
        base = len(log)
        log.extend(Stored(base + at, *raw) for at, raw in enumerate(batch))
        return base

    def end_place(self, partition: Partition) -> Place:
        """Where a partition ends now, with the fences there."""
        admission = Admission(CODEC)
        for _ in admission.admit(self.records[partition]):
            pass
        return admission.place

    def deliver(self, *, quiet: bool = False) -> None:
        """The first batch of some session to some partition arrives, or is lost."""
        wire, partition = self.rng.choice([f[:2] for f in self.flight])
        at = next(i for i, f in enumerate(self.flight) if f[0] is wire and f[1] == partition)
        dice = 1.0 if quiet else self.rng.random()
        owner = next((o for o in self.owners if o.wire is wire), None)
        if dice < 0.05 and owner is None:
            self.flight = [f for f in self.flight if f[0] is not wire]  # a dead session's tail
            return
        _, _, batch, pending = self.flight.pop(at)
        if dice > 0.20:
            pending.end(self.land(partition, batch))
        elif dice > 0.17:  # it landed, but nobody is told
            self.land(partition, batch)
            pending.end(None, AppendUnknown("unheard"))
        elif self.rng.random() < 0.5:  # lost, and the owner hears of it late or never, before it hears of the next
            pending.end(None, AppendUnknown("lost"))

    def _say(self, partition: Partition, record: Record, origin: Origin) -> None:
        name = f"{partition.channel}-{len(self.records[partition])}"
        raw = CODEC.encode(record, record_id=name, origin=origin, time_ms=self.clock.now_ms(), trace="0" * 32)
        self.land(partition, [raw])

    def ask(self) -> None:
        self._say(ASKS, WidthAsked(workspace_id="w", width=self.rng.choice((0, 1, 1, 2, 3))), Origin("ask"))

    def other_role(self) -> None:
        """S claims, writes facts, and its old sessions go on writing late."""
        if self.rng.random() < 0.2 or not self.others:
            self.other_epoch += 1
            session = f"{self.rng.getrandbits(40):010x}"
            claim = Claimed(role="S", session=session, epoch=self.other_epoch)
            self._say(OTHER, claim, Origin("claim", "S", session, self.other_epoch))
            self.others.append([session, self.other_epoch, 0])
            return
        writer = self.rng.choice(self.others[-3:])
        told = Told(workspace_id="w", width=self.rng.choice((1, 1, 2)))
        self._say(OTHER, told, Origin("fact", "S", writer[0], writer[1], writer[2]))
        writer[2] += 1

    def run(self, steps: int = 500) -> None:
        rng = self.rng
        for _ in range(steps):
            dice = rng.random()
            self.clock.advance(rng.randrange(3))
            if dice < 0.10 and len(self.records[ASKS]) < 20:
                self.ask()
            elif dice < 0.18 and len(self.records[OTHER]) < 30:
                self.other_role()
            elif dice < 0.20:
                rng.choice(self.owners).start_session("crash")
            elif dice < 0.20 + self.unknown:
                rng.choice(self.owners).unknown_append()
            elif dice > 1 - self.delivery and self.flight:
                self.deliver()
            else:
                (self.owners[0] if rng.random() < 0.6 else rng.choice(self.owners)).step()
        self._settle()

    def _settle(self) -> None:
        """One owner is left, everything on the wire arrives."""
        last = self.owners[0]
        self.owners = [last]
        last.start_session("crash")
        for _ in range(1200):
            if self.flight:
                self.deliver(quiet=True)
            last.step()


def first_problem(schedules: int, broken: str = "") -> str:
    """What is wrong in the first schedule in which anything is; every second one has a slow wire."""
    for schedule in range(schedules):
        world = World(schedule, broken, is_slow=schedule % 2 == 1)
        world.run()
        if problem := check(world.records[HOME], world.records[ASKS], world.records[OTHER], world.records[SINK]):
            return f"schedule {schedule}: {problem}"
    return ""


def main(arguments: list[str]) -> int:
    """Run schedules; the exit code tells whether anything is wrong."""
    found = first_problem(int(arguments[0]) if arguments else 1000)
    sys.stdout.write(f"{found or 'all schedules hold'}\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
