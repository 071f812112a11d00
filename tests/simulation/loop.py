"""An event loop on virtual time: everything on one thread, nothing waits, the same seed gives the same order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from bus.clock import Clock

T = TypeVar("T")
START_MS = 1_700_000_000_000


class Stuck(AssertionError):
    """Nothing can happen any more, and the simulation has not ended."""


class _VirtualSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Instead of waiting for the time to pass, moves it."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("every task waits for something that nobody will do")
        self.loop.virtual_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose `time()` jumps to the next thing to do."""

    def __init__(self) -> None:
        self.virtual_s = 0.0
        selector = _VirtualSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual_s


class VirtualClock(Clock):
    """The wall clock of a simulated world, in step with its loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        return START_MS + int(self._loop.virtual_s * 1000)


def simulate(main: "Coroutine[Any, Any, T]", loop: VirtualLoop) -> T:
    """Run a coroutine to its end in virtual time and leave nothing behind."""
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(_settle())
        loop.close()


async def _settle() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
