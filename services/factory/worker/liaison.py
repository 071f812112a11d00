"""What agents and their node say to each other about attempts under way, in frames of the worker's socket."""

import asyncio
import itertools
from collections.abc import Callable, Mapping


class NodeLiaison:
    """The worker's end. `tell` sends a frame."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def admit(self, attempt_id: str, provider: str) -> None:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._tell(admit=number, attempt=attempt_id, provider=provider)
        try:
            await waiting
        finally:
            del self._waiting[number]

    def admitted(self, number: int) -> None:
        """The node lets a call go."""
        if (waiting := self._waiting.get(number)) and not waiting.done():
            waiting.set_result(None)

    def answered(self, attempt_id: str, provider: str, limited_ms: int | None = None) -> None:
        self._tell(answered=provider, attempt=attempt_id, limited_ms=limited_ms)

    def used(self, attempt_id: str, usage: Mapping[str, int]) -> None:
        self._tell(used=dict(usage), attempt=attempt_id)
