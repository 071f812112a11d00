"""A bucket of calls to one provider with one key: it slows when the provider says so, and quickens while it does not.

Calls go `interval` apart. A refusal stops all of them for as long as the provider asks, and doubles the interval; each
good answer takes a part of it away again. A refusal of a call that had gone before the last slowing says nothing new.
"""

from collections import deque
from dataclasses import dataclass, field

INTERVAL_MS_FIRST = 50.0
"""After the first refusal of a bucket that had been going as fast as it was asked."""

INTERVAL_MS_MAX = 60_000.0
PAUSE_MS_MAX = 600_000
QUICKENING = 0.9
INTERVAL_MS_LEAST = 5.0
"""Below it there is no interval any more."""


@dataclass(slots=True, kw_only=True)
class RateBucket:
    """Times are milliseconds of a clock that never goes back."""

    share_ms: float = 0.0  # the interval that the node's share of the provider's rate allows; 0 for any
    interval_ms: float = 0.0
    next_ms: float = 0.0
    slowed_ms: float = -1.0  # when it last slowed
    refusals: int = 0

    def take(self, now_ms: float) -> float:
        """When the call that is asked for now may go."""
        at = max(now_ms, self.next_ms)
        self.next_ms = at + max(self.interval_ms, self.share_ms)
        return at

    def refuse(self, now_ms: float, went_ms: float, pause_ms: int) -> None:
        """The provider refused a call that went at `went_ms`, and wants none for so long."""
        self.refusals += 1
        pause = min(max(0, pause_ms), PAUSE_MS_MAX)
        self.next_ms = max(self.next_ms, now_ms + pause)
        if went_ms > self.slowed_ms:
            self.interval_ms = min(max(self.interval_ms * 2, INTERVAL_MS_FIRST), INTERVAL_MS_MAX)
            self.slowed_ms = now_ms

    def accept(self) -> None:
        """The provider answered a call."""
        self.interval_ms *= QUICKENING
        if self.interval_ms < INTERVAL_MS_LEAST:
            self.interval_ms = 0.0


MINUTE_MS = 60_000


@dataclass(slots=True, kw_only=True)
class CallQuota:
    """At most so many calls of one instance within any minute."""

    most: int
    _went: deque[float] = field(default_factory=deque)

    def take(self, now_ms: float) -> float:
        """When the call that is asked for now may go."""
        full = len(self._went) >= self.most
        at = max(now_ms, self._went.popleft() + MINUTE_MS) if full else now_ms
        self._went.append(at)
        return at
