"""Following a run to its end, with the signals and the time that may end it early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from bus.client import Bus
from services.audit.progress import WATCHED, Progress
from services.cli.display import Display
from services.cli.failure import Failed
from services.cli.loop import first_of, on_signals
from services.cli.run_request import Asked
from services.cli.silence import Silence
from services.records.task import RunCancelRequested
from services.records.telemetry import WorkerOutput

CANCEL_S_MAX = 30.0
"""How long a run that was cancelled for want of time has to end."""


async def watch_run(
    bus: Bus,
    asked: Asked,
    display: Display,
    timeout_ms: int,
    failed: Callable[[], Coroutine[Any, Any, str]] | None = None,
) -> Progress:
    """Follow a run to its end. Ctrl-C cancels it, twice leaves it; so does the time given.

    `failed` ends when the services that this process hosts cannot go on; whoever hosts none wants to be told whose
    word is missing.
    """
    watch = _Watch(bus, asked, display)
    silence = Silence(bus, asked, watch.progress, display.say)
    watch.moved = silence.note
    sides = [_fail(failed)] if failed else [silence.watch()]
    with on_signals(watch.interrupt):
        try:
            await first_of(watch.follow(), watch.follow_output(), watch.leave(), watch.limit(timeout_ms), *sides)
        finally:
            await watch.close()
    return watch.progress


async def _fail(failed: Callable[[], Coroutine[Any, Any, str]]) -> None:
    raise Failed(await failed())


class _Watch:
    """One run being followed."""

    def __init__(self, bus: Bus, asked: Asked, display: Display) -> None:
        self._bus, self._asked, self._display = bus, asked, display
        self.progress = Progress(asked.run_id)
        self.moved: Callable[[], None] = lambda: None
        self._left = asyncio.Event()
        self._cancelling: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """Until the run has ended."""
        async for envelope in self._bus.subscribe("task", WATCHED, key=self._asked.workspace_id):
            if self.progress.concerns(envelope.record):
                self._display.show(self.progress, self.progress.apply(envelope))
                self.moved()
                if self.progress.has_ended:
                    return

    async def follow_output(self) -> None:
        """What the workers of the run print, for as long as it is followed."""
        async for envelope in self._bus.subscribe("telemetry", [WorkerOutput], key=self._asked.workspace_id):
            if changed := self.progress.apply(envelope):
                self._display.show(self.progress, changed)
                self.moved()

    def interrupt(self) -> None:
        """Cancel the run; the second time leave it to itself."""
        if self._cancelling is not None:
            self._left.set()
            return
        self._cancelling = asyncio.ensure_future(self._cancel("interrupted"))
        self._display.say(f"cancelling {self._asked.run_id}; once more leaves it to itself")

    async def leave(self) -> None:
        """Until somebody is tired of waiting."""
        await self._left.wait()
        raise Failed(
            f"left {self._asked.run_id} before its end; `clawx workflows show {self._asked.run_id}` tells more"
        )

    async def limit(self, timeout_ms: int) -> None:
        """Cancel the run when its time is over."""
        if not timeout_ms:
            await asyncio.Event().wait()
        await asyncio.sleep(timeout_ms / 1000)
        self._display.say(f"the time is over: cancelling {self._asked.run_id}")
        await self._cancel("its time was over")
        await asyncio.sleep(CANCEL_S_MAX)
        raise Failed(f"{self._asked.run_id} was cancelled but has not ended after {CANCEL_S_MAX:g} s")

    async def _cancel(self, reason: str) -> None:
        ask = RunCancelRequested(workspace_id=self._asked.workspace_id, run_id=self._asked.run_id, reason=reason)
        await self._bus.publish(ask, record_id=f"cancel-{self._asked.run_id}")

    async def close(self) -> None:
        """Let go of a cancellation that is still being asked for."""
        if self._cancelling is not None:
            self._cancelling.cancel()
            with suppress(asyncio.CancelledError):
                await self._cancelling
