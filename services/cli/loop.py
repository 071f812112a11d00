"""The event loop of a command, and the signals that end it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from bus.errors import Halted
from services.cli.failure import Failed

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on the quickest loop that there is."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


@contextmanager
def on_signals(act: Callable[[], None]) -> Iterator[None]:
    """Call this for each Ctrl-C and SIGTERM instead of ending the process."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for each in signals:
        loop.add_signal_handler(each, act)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


async def first_of(*works: Coroutine[Any, Any, T]) -> T:
    """The result of the one that ends first; the others are cancelled and waited for."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Stop:
    """Whether somebody has asked this process to end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def before(self, work: Coroutine[Any, Any, Any], failing: Coroutine[Any, Any, str] | None = None) -> bool:
        """Wait for the work; gives False if the process shall end first. Raises Failed with what `failing` gives.

        Without `failing` the work itself is one that only ends, with a sentence, when something cannot go on.
        """
        stopped = asyncio.ensure_future(self.asked.wait())
        wanted = asyncio.ensure_future(work)
        failed = asyncio.ensure_future(failing) if failing else wanted
        try:
            await asyncio.wait({stopped, wanted, failed}, return_when=asyncio.FIRST_COMPLETED)
            if self.asked.is_set():
                return False
            if failed.done():
                raise Failed(str(failed.result()))
            wanted.result()
            return True
        except Halted as error:
            raise Failed(str(error)) from error
        finally:
            for task in (stopped, wanted, failed):
                task.cancel()
            await asyncio.gather(stopped, wanted, failed, return_exceptions=True)


@asynccontextmanager
async def until_stopped() -> AsyncIterator[Stop]:
    """Take Ctrl-C and SIGTERM as the wish to end in order; a second one ends at once, as a crash would."""
    stop = Stop()

    def ask() -> None:
        if stop.asked.is_set():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        stop.asked.set()

    with on_signals(ask):
        yield stop
