"""The clock as a port: services take one, tests move one by hand."""

import time
from typing import Protocol

from bus.errors import BusError

CLOCK_JUMP_MS_MAX = 60_000
"""How far the wall clock may leave the boot-time clock within one process."""


class ClockJumped(BusError):
    """The wall clock was moved; deciding on would record times that never were."""


class Clock(Protocol):
    """Wall-clock time in Unix milliseconds."""

    def now_ms(self) -> int: ...


class SystemClock:
    """The machine's wall clock, checked against its boot-time clock; time asleep is no jump."""

    def __init__(self, jump_ms_max: int = CLOCK_JUMP_MS_MAX) -> None:
        self._jump_ms_max = jump_ms_max
        self._offset_ms = _wall_ms() - _boot_ms()

    def now_ms(self) -> int:
        """Raises ClockJumped once the two clocks have drifted apart by more than the limit."""
        now = _wall_ms()
        jump = now - _boot_ms() - self._offset_ms
        if abs(jump) > self._jump_ms_max:
            raise ClockJumped(
                f"the wall clock moved by {jump} ms against the boot-time clock, more than {self._jump_ms_max} ms; "
                "set the clock right and start this service again"
            )
        return now


class ManualClock:
    """Moves only when told."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, ms: int) -> None:
        self._now_ms += ms


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _boot_ms() -> int:
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000
