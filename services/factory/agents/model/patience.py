"""Calls that are made again: after a 429 for as long as there is time, after other passing failures a few times."""

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from services.factory.agents.line import Line
from services.factory.agents.model.turn import StreamBroken, Turn

FAILURES_MAX = 5
"""So many passing failures of one call in a row, and it is given up; a 429 is none."""

PAUSE_S = 0.5
PAUSE_S_MAX = 30.0
RETRY_AFTER_S_MAX = 600.0

_PASSING = frozenset({408, 409, 425})
_HOPELESS = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Answers with 429 that no waiting turns into another."""


class GivenUp(Exception):
    """The call has failed for good; the message says why."""


class Patience:
    """Makes the calls of one conversation to one provider."""

    def __init__(self, line: Line, provider: str, say: Callable[[str], None]) -> None:
        self._line, self._provider, self._say = line, provider, say

    def call(self, make: Callable[[], Turn]) -> Turn:
        """The first good turn. Raises GivenUp."""
        from openai import APIError

        failures = limits = 0
        while True:
            self._line.admit(self._provider)
            try:
                turn = make()
            except (APIError, StreamBroken) as error:
                status = getattr(error, "status_code", 0) or 0
                if status == 429 and getattr(error, "code", None) not in _HOPELESS:
                    limits += 1
                    self._slow_down(error, limits)
                    continue
                self._line.answered(self._provider)
                failures += 1
                self._pause(error, status, failures)
                continue
            self._line.answered(self._provider)
            return turn

    def _slow_down(self, error: Exception, limits: int) -> None:
        """The node lets no call of anybody with this key go for so long; without a node, this one waits alone."""
        pause_s = retry_after_s(error)
        pause_s = backoff_s(limits) if pause_s is None else pause_s
        self._say(f"the endpoint wants fewer calls; the next one in {pause_s:.1f} s")
        self._line.answered(self._provider, round(pause_s * 1000))
        if not self._line.is_there:
            time.sleep(pause_s)

    def _pause(self, error: Exception, status: int, failures: int) -> None:
        is_passing = status >= 500 or status in _PASSING or not status
        if not is_passing or failures >= FAILURES_MAX:
            raise GivenUp(_describe(error, status)) from error
        pause_s = retry_after_s(error)
        pause_s = backoff_s(failures) if pause_s is None else pause_s
        self._say(f"{_describe(error, status)}; again in {pause_s:.1f} s")
        time.sleep(pause_s)


def backoff_s(times: int) -> float:
    """Twice as long each time, and never quite the same."""
    pause: float = min(PAUSE_S * 2 ** (min(times, 20) - 1), PAUSE_S_MAX)
    return pause * random.uniform(0.75, 1.25)


def retry_after_s(error: Exception) -> float | None:
    """How long the endpoint asks to wait: in milliseconds, in seconds, or until a date."""
    headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
    try:
        if "retry-after-ms" in headers:
            return _bound(float(headers["retry-after-ms"]) / 1000)
        return _read_delay(headers["retry-after"]) if "retry-after" in headers else None
    except (ValueError, OverflowError):
        return None


def _read_delay(text: str) -> float:
    try:
        return _bound(float(text))
    except ValueError:
        at = parsedate_to_datetime(text)
        return _bound((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp())


def _bound(seconds: float) -> float:
    if not seconds < float("inf"):
        raise ValueError("no time to wait")
    return min(max(0.0, seconds), RETRY_AFTER_S_MAX)


def _describe(error: Any, status: int) -> str:
    words = " ".join(str(getattr(error, "message", "") or error).split())[:500]
    return f"the endpoint answered with {status}: {words}" if status else f"the endpoint failed: {words}"
