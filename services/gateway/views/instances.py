"""The instances as they are now."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.instances import LIVED, Instance, apply
from services.gateway.views.shelf import Shelf

ENDED_MAX = 10_000
"""Most instances that have ended and are still shown."""


class InstanceView:
    """Every instance that lives, and the newest of those that have ended."""

    wants: tuple[type[Record], ...] = LIVED

    def __init__(self) -> None:
        self.instances: Shelf[Instance] = Shelf(lambda i: i.created_at_ms, lambda i: i.has_ended, ENDED_MAX)

    def apply(self, envelope: Envelope) -> None:
        apply(self.instances, envelope)
