"""The schedules as they are now."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.schedules import SCHEDULED, Planned, apply
from services.gateway.views.shelf import Shelf


class ScheduleView:
    """Every schedule that is not deleted."""

    wants: tuple[type[Record], ...] = SCHEDULED

    def __init__(self) -> None:
        self.schedules: Shelf[Planned] = Shelf(lambda each: each.made_ms, lambda each: False, 0)

    def apply(self, envelope: Envelope) -> None:
        apply(self.schedules, envelope)
