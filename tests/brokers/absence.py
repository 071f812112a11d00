"""How a test learns that a real server cannot be had here, and why."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class AbsentError(Exception):
    """A server cannot be started in one way; the message is the reason."""


def first_present(ways: Sequence[tuple[str, Callable[[], T]]]) -> T:
    """Take the first way that works; the error names the reason of each that does not."""
    reasons = []
    for name, way in ways:
        try:
            return way()
        except AbsentError as reason:
            reasons.append(f"{name}: {reason}")
    raise AbsentError("; ".join(reasons))
