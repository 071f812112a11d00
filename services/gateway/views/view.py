"""What a view is: a fold of some record types."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from bus.record import Envelope, Record


class View(Protocol):
    """Is given every admitted record of the types that it wants, in order within each partition, each once."""

    @property
    def wants(self) -> Collection[type[Record]]: ...

    def apply(self, envelope: Envelope) -> None:
        """Take one record in; never waits."""
        ...
