"""The reviews of a system as its records show them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace

from bus.record import Envelope, Record
from services.audit.progress import hex_of
from services.records.content import Read
from services.records.review import ReviewClosed, ReviewEscalated, ReviewOpened, VoteRecorded

REVIEWED: tuple[type[Record], ...] = (ReviewOpened, VoteRecorded, ReviewEscalated, ReviewClosed)
"""What the list of reviews is folded from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review in a line."""

    review_id: str
    workspace_id: str
    run_id: str
    stage: str
    execution: int
    by: tuple[str, ...]
    quorum: int
    subject: tuple[Read, ...]
    closes_at_ms: int
    status: str = "open"  # then approved or rejected
    votes: int = 0
    reason: str = ""
    choices: tuple[str, ...] = ()
    question: str = ""


def fold_reviews(envelopes: Iterable[Envelope]) -> dict[str, Review]:
    """Every review by its id, in the order in which they were opened."""
    found: dict[str, Review] = {}
    for envelope in envelopes:
        apply(found, envelope)
    return found


def apply(found: MutableMapping[str, Review], envelope: Envelope) -> None:
    """Take one record in."""
    record = envelope.record
    if isinstance(record, ReviewOpened):
        found[record.review_id] = _opened(record)
        return
    known = found.get(getattr(record, "review_id", ""))
    if known is None:
        return
    match record:
        case VoteRecorded():
            known = replace(known, votes=known.votes + 1)
        case ReviewEscalated():
            known = replace(known, by=record.by, quorum=1, closes_at_ms=record.closes_at_ms)
        case ReviewClosed():
            known = replace(known, status="approved" if record.approved else "rejected", reason=record.reason)
    found[known.review_id] = known


def _opened(record: ReviewOpened) -> Review:
    return Review(
        review_id=record.review_id,
        workspace_id=record.workspace_id,
        run_id=record.run_id,
        stage=record.stage,
        execution=record.execution,
        by=record.by,
        quorum=record.quorum,
        subject=record.subject,
        closes_at_ms=record.closes_at_ms,
        choices=record.choices,
        question=record.question,
    )


def describe(review: Review) -> dict[str, object]:
    """One line of `reviews list --json`."""
    return {
        "review_id": review.review_id,
        "run_id": review.run_id,
        "stage": review.stage,
        "execution": review.execution,
        "status": review.status,
        "by": list(review.by),
        "quorum": review.quorum,
        "votes": review.votes,
        "subject": [{"name": r.name, "version": r.version, "sha256": hex_of(r.digest)} for r in review.subject],
        "workspace_id": review.workspace_id,
        "closes_at": review.closes_at_ms or None,
        "reason": review.reason or None,
        "choices": list(review.choices),
        "question": review.question or None,
    }
