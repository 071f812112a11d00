"""The budgets as they are now."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.budgets import BUDGETED, Books


class BudgetView:
    """Every budget, with what is spent and what is given out."""

    wants: tuple[type[Record], ...] = BUDGETED

    def __init__(self) -> None:
        self.books = Books()

    def apply(self, envelope: Envelope) -> None:
        self.books.apply(envelope)
