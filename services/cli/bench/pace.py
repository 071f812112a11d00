"""A steady rate, whether or not what is under way keeps up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any


async def at_rate(rate: int, count: int, act: Callable[[int, float], Coroutine[Any, Any, None]]) -> None:
    """Begin so many acts, so many a second, and wait for all of them; each gets its number and when it was due.

    A stall counts for all that it delays, if the act measures from when it was due.
    """
    began, pending = time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(count):
        due = began + number / rate
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        task = asyncio.create_task(act(number, due))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)
