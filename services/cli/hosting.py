"""Hosting services in this process, with an eye on whether they can go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.cli.loop import first_of
from services.settings import Settings
from services.system import System, hosted
from services.topology import SERVICES

LOOK_S = 0.5
"""How often roles that stopped for good are looked for."""


@asynccontextmanager
async def hosting(
    settings: Settings, services: Sequence[str] = SERVICES, *, node: bool = True
) -> AsyncIterator[tuple[System, Callable[[], Coroutine[Any, Any, str]]]]:
    """The system once it decides, and a function that waits until something in it cannot go on, and says what."""
    async with hosted(settings, services, node=node) as system:

        async def failed() -> str:
            return await first_of(system.failed(), _halted(system))

        yield system, failed


async def _halted(system: System) -> str:
    while not (halted := system.halted):  # noqa: ASYNC110 — nothing tells of it
        await asyncio.sleep(LOOK_S)
    return "; ".join(f"{name} has stopped: {why}" for name, why in sorted(halted.items()))
