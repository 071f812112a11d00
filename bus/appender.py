"""One producer for all sessions of a process, thrown away and made anew when it is spent."""

import asyncio

from bus.log import Appender, Log


class SharedAppender:
    """`current` gives the appender in use; whoever sees it fail calls `discard`, which costs every session that uses
    it its claim."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._appender: Appender | None = None
        self._opening = asyncio.Lock()

    async def current(self) -> Appender:
        async with self._opening:
            if self._appender is None:
                self._appender = await self._log.appender()
            return self._appender

    async def discard(self, spent: Appender) -> None:
        """Close it; the next `current` is a new one. Harmless when somebody did it before."""
        if self._appender is spent:
            self._appender = None
            await spent.close()

    async def close(self) -> None:
        if self._appender is not None:
            appender, self._appender = self._appender, None
            await appender.close()
