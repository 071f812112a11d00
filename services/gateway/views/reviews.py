"""The reviews as they are now."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.reviews import REVIEWED, Review, apply
from services.gateway.views.shelf import Shelf
from services.records.review import ReviewOpened

CLOSED_MAX = 10_000
"""Most reviews that are closed and still shown."""


class ReviewView:
    """Every open review, and the newest of those that are closed."""

    wants: tuple[type[Record], ...] = REVIEWED

    def __init__(self) -> None:
        self._opened_ms: dict[str, int] = {}
        self.reviews: Shelf[Review] = Shelf(self.opened_ms, lambda r: r.status != "open", CLOSED_MAX)

    def opened_ms(self, review: Review) -> int:
        return self._opened_ms.get(review.review_id, 0)

    def apply(self, envelope: Envelope) -> None:
        if isinstance(envelope.record, ReviewOpened):
            if envelope.record.review_id in self._opened_ms:
                return
            self._opened_ms[envelope.record.review_id] = envelope.time_ms
        apply(self.reviews, envelope)
        if len(self._opened_ms) > 2 * (len(self.reviews) + CLOSED_MAX):
            self._opened_ms = {review_id: self._opened_ms[review_id] for review_id in self.reviews}
