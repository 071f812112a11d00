"""What the door takes, before any work is done for anybody."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one gateway."""

    body_bytes_max: int = 64 * 1024 * 1024
    requests_per_s_max: float = 2_000.0  # of one address, and again of one key
    requests_burst_max: int = 4_000
    sockets_max: int = 4_000  # calls and streams at once
    sockets_of_key_max: int = 2_000
    send_s_max: float = 30.0  # a client that takes nothing for so long is let go


CALLERS_MAX = 10_000
"""Most callers whose rate is known at once; above it the ones that were silent longest are forgotten."""


class Rates:
    """How many calls each may still make: a bucket each that fills again."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and as of when

    def take(self, name: str) -> bool:
        """Whether one more call is within the rate."""
        now = time.monotonic()
        left, at = self._buckets.pop(name, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._per_s)
        self._buckets[name] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > CALLERS_MAX:
            self._buckets.popitem(last=False)
        return left >= 1


class Sockets:
    """What is open, by key."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[str, int] = {}
        self._total = 0

    def enter(self, name: str) -> bool:
        """Whether there is room for one more."""
        held = self._open.get(name, 0)
        if self._total >= self._limits.sockets_max or held >= self._limits.sockets_of_key_max:
            return False
        self._open[name] = held + 1
        self._total += 1
        return True

    def leave(self, name: str) -> None:
        """One less."""
        self._total -= 1
        if self._open[name] == 1:
            del self._open[name]
        else:
            self._open[name] -= 1
