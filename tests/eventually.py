"""The one place where tests wait: for a condition, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = 0.01


async def eventually(condition: Callable[[], Awaitable[T] | T], timeout_s: float = 60.0, what: str = "") -> T:
    """Return the first true value of the condition, which may be a coroutine function.

    An AssertionError inside it means not yet; anything else it raises is raised at once.
    Past `timeout_s` an AssertionError says what was waited for and what was last seen.
    """
    wait = _Wait(condition, timeout_s, what)
    while True:
        try:
            value = condition()
            wait.seen = await value if inspect.isawaitable(value) else value
        except AssertionError as error:
            wait.seen = error
        if wait.is_over():
            return wait.seen  # type: ignore[return-value]
        await asyncio.sleep(PAUSE_S)


def eventually_blocking(condition: Callable[[], T], timeout_s: float = 60.0, what: str = "") -> T:
    """Wait as `eventually` does, where there is no event loop."""
    wait = _Wait(condition, timeout_s, what)
    while True:
        try:
            wait.seen = condition()
        except AssertionError as error:
            wait.seen = error
        if wait.is_over():
            return wait.seen  # type: ignore[return-value]
        time.sleep(PAUSE_S)


class _Wait:
    """What is waited for, until when, and what was last seen of it."""

    def __init__(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        self.what = what or getattr(condition, "__qualname__", repr(condition))
        self.timeout_s = timeout_s
        self.end = time.monotonic() + timeout_s
        self.seen: object = None

    def is_over(self) -> bool:
        """Tell whether the condition holds; raise where the time is up and it does not."""
        if self.seen and not isinstance(self.seen, AssertionError):
            return True
        if time.monotonic() < self.end:
            return False
        cause = self.seen if isinstance(self.seen, AssertionError) else None
        raise AssertionError(f"not within {self.timeout_s} s: {self.what}; last seen: {self.seen!r}") from cause
