"""Which partitions this process should own for a service: a state that may change, never an event to act on once."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Protocol


class Assignment(Protocol):
    """Partition numbers that are this process's to own. The same numbers hold for all roles of a service, on all
    channels."""

    def watch(self) -> AsyncIterator[frozenset[int]]:
        """The numbers now, and again whenever they differ from what was last given; ends when the assignment is closed.

        Reassigning a number to the process that had it shows nothing.
        """
        ...

    async def close(self) -> None:
        """Leave, so that others may take over at once."""
        ...


class StaticAssignment:
    """One owner for ever: the embedded system, and fleets that place services by hand."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = frozenset(numbers)
        self._closed = asyncio.Event()

    async def watch(self) -> AsyncIterator[frozenset[int]]:
        yield self._numbers
        await self._closed.wait()

    async def close(self) -> None:
        self._closed.set()
