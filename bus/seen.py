"""Ids that a Decider has dealt with lately, so that hearing the same input twice changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from immutables import Map

IDS_TTL_MS = 24 * 3600 * 1000
"""How long an id is remembered at least, unless there are too many."""

IDS_MAX = 100_000
"""Most ids that one role remembers on one partition; the oldest are forgotten above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A persistent set of ids that forgets the oldest ones. Adding is O(log n), so it bounds itself step by step."""

    numbers: Map[str, int] = Map()  # of each id, counted in the order of arrival
    arrivals: Map[int, tuple[int, str]] = Map()  # by number: when, and which
    oldest: int = 0
    next: int = 0

    def add(self, name: str, time_ms: int) -> Seen:
        """With this id as of this time; one that is there already keeps its age."""
        if name in self.numbers:
            return self
        rest = self.forget(time_ms).forget(time_ms)
        return replace(
            rest,
            numbers=rest.numbers.set(name, self.next),
            arrivals=rest.arrivals.set(self.next, (time_ms, name)),
            next=self.next + 1,
        )

    def forget(self, time_ms: int) -> Seen:
        """Without the oldest id, if it is old enough by this time or there are too many."""
        arrival = self.arrivals.get(self.oldest)
        if arrival is None or (time_ms - arrival[0] <= IDS_TTL_MS and len(self.numbers) < IDS_MAX):
            return self
        return replace(
            self,
            numbers=self.numbers.delete(arrival[1]),
            arrivals=self.arrivals.delete(self.oldest),
            oldest=self.oldest + 1,
        )

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def __len__(self) -> int:
        return len(self.numbers)
