"""The warm pools as they are now."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.warm_pools import POOLED, apply
from services.records.event import WarmPoolSet


class WarmPoolView:
    """The newest word on each, by workspace and profession."""

    wants: tuple[type[Record], ...] = POOLED

    def __init__(self) -> None:
        self.pools: dict[tuple[str, str], WarmPoolSet] = {}

    def apply(self, envelope: Envelope) -> None:
        apply(self.pools, envelope)
