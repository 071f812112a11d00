"""The messages as they are now."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.messages import MESSAGED, Sending, apply
from services.gateway.views.shelf import Shelf

OVER_MAX = 10_000
"""Most messages that are over and still shown."""


class MessageView:
    """Every message that is under way, and the newest of those that are over."""

    wants: tuple[type[Record], ...] = MESSAGED

    def __init__(self) -> None:
        self.messages: Shelf[Sending] = Shelf(lambda each: each.made_ms, lambda each: each.is_over, OVER_MAX)

    def apply(self, envelope: Envelope) -> None:
        apply(self.messages, envelope)
