"""The tasks that wait for a person."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.tasks import TASKED, Task, apply
from services.gateway.views.shelf import Shelf


class TaskView:
    """Every open task of a person; those that are answered are gone."""

    wants: tuple[type[Record], ...] = TASKED

    def __init__(self) -> None:
        self.tasks: Shelf[Task] = Shelf(lambda t: t.since_ms, lambda t: False, 0)

    def apply(self, envelope: Envelope) -> None:
        apply(self.tasks, envelope)
