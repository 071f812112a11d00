"""How many lines of progress an attempt may tell: a burst, then so many a second; what is left out is counted."""

import time

LINES_A_SECOND = 20.0
LINES_BURST = 100.0


class LineRate:
    """A bucket of lines that fills with time."""

    __slots__ = ("_at", "_left", "left_out")

    def __init__(self) -> None:
        self._left = LINES_BURST
        self._at = time.monotonic()
        self.left_out = 0

    def take(self) -> bool:
        """Whether one more line may go now."""
        now = time.monotonic()
        self._left = min(LINES_BURST, self._left + (now - self._at) * LINES_A_SECOND)
        self._at = now
        if self._left < 1:
            self.left_out += 1
            return False
        self._left -= 1
        return True
