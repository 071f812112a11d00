"""An event loop on virtual time: everything on one thread, nothing waits, the same seed gives the same order."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from bus.clock import Clock

T = TypeVar("T")
START_MS = 1_700_000_000_000

TURNS_MAX = 20_000
"""Turns of the loop without any time passing; more is a program that spins."""

VIRTUAL_S_MAX = 3_600.0
"""No world lasts longer."""


class Stuck(AssertionError):
    """Nothing can happen any more, or nothing but turning, and the simulation has not ended."""


class _VirtualSelector(selectors.SelectSelector):
    """Instead of waiting for the time to pass, moves it. No file is ever waited for."""

    loop: "VirtualLoop"
    turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("every task waits for something that nobody will do")
        if timeout > 0:
            self.turns = 0
            self.loop.virtual_s += timeout
        else:
            self.turns += 1
        if self.turns > TURNS_MAX:
            raise Stuck("the program spins without waiting for anything")
        if self.loop.virtual_s > VIRTUAL_S_MAX:
            raise Stuck(f"the world has not come to an end in {VIRTUAL_S_MAX:g} s")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose `time()` jumps to the next thing to do."""

    def __init__(self) -> None:
        self.virtual_s = 0.0
        selector = _VirtualSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """At once: a thread would end at a time of its own."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 — it is for whoever waits
            future.set_exception(error)
        return future


class VirtualClock(Clock):
    """The wall clock of a simulated machine: in step with the loop, but set wrong by `skew_ms`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, skew_ms: int = 0) -> None:
        self._loop, self.skew_ms = loop, skew_ms

    def now_ms(self) -> int:
        return START_MS + self.skew_ms + int(self._loop.time() * 1000)


async def elapse(seconds: float) -> None:
    """Let virtual time pass. Not a wait: nothing real goes by."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    handle = loop.call_later(seconds, _end, future)
    try:
        await future
    finally:
        handle.cancel()


def _end(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def simulate(main: "Coroutine[Any, Any, T]", loop: VirtualLoop) -> T:
    """Run a coroutine to its end in virtual time and leave nothing behind."""
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            _end_all(loop)
        finally:
            loop.close()


def _end_all(loop: VirtualLoop) -> None:
    loop.virtual_s = -VIRTUAL_S_MAX
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(_settle())


async def _settle() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
