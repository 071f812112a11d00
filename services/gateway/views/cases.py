"""Why tasks went where they went, for the newest of them."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.why import EXPLAINED, Case, apply
from services.gateway.views.shelf import Shelf
from services.records.task import TaskRequested

CASES_MAX = 5_000
"""Most tasks that are explained; of older ones `clawx why` tells, which reads the log."""


class CaseView:
    """The newest tasks, with what was decided about each."""

    wants: tuple[type[Record], ...] = EXPLAINED

    def __init__(self) -> None:
        self.cases: Shelf[Case] = Shelf(lambda case: case.asked_ms, lambda case: True, CASES_MAX)

    def apply(self, envelope: Envelope) -> None:
        if isinstance(envelope.record, TaskRequested) or envelope.record.task_id in self.cases:
            apply(self.cases, envelope)
