"""What a node does beside its main loop: started here, so that no failure of it goes unseen and nothing outlives it."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Running coroutines; `failure` ends with the first exception of one of them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it beside the others."""
        task = asyncio.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._check)
        return task

    def _check(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.failure.done():
            self.failure.set_exception(error)

    async def close(self) -> None:
        """End what still runs."""
        current = asyncio.current_task()
        running = [task for task in self._running if task is not current]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self.failure.done() and not self.failure.cancelled():
            self.failure.exception()  # whoever ran the node has seen it
        self.failure.cancel()
