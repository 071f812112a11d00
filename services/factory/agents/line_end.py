"""The worker's end of the line to a program of ours: passes on what it asks and says about its attempt."""

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any

from services.factory.agents.port import Liaison

LINE_BYTES_MAX = 64 * 1024


class LineEnd:
    """One program's line. `its` goes to the program and is closed here once it has it."""

    def __init__(self, liaison: Liaison, attempt_id: str) -> None:
        self._liaison, self._attempt_id = liaison, attempt_id
        self._mine, self.its = socket.socketpair()
        self._mine.setblocking(False)
        self._following: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The program has its end."""
        self.its.close()
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        self.its.close()
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        self._mine.close()

    async def _follow(self) -> None:
        """To the end of the line, or to the first thing on it that is not of its language."""
        reader, writer = await asyncio.open_unix_connection(sock=self._mine, limit=LINE_BYTES_MAX)
        try:
            while line := await reader.readline():
                if await self._act(json.loads(line)):
                    writer.write(b'{"go": true}\n')
        except (ValueError, ConnectionError, TypeError):
            return
        finally:
            writer.transport.abort()

    async def _act(self, message: Mapping[str, Any]) -> bool:
        """Whether an answer is due."""
        match message:
            case {"admit": str(provider)}:
                await self._liaison.admit(self._attempt_id, provider)
                return True
            case {"answered": str(provider), "limited_ms": int() | None as limited_ms}:
                self._liaison.answered(self._attempt_id, provider, limited_ms)
            case {"used": dict(usage)}:
                self._liaison.used(self._attempt_id, usage)
            case _:
                raise ValueError("no message of this line")
        return False
