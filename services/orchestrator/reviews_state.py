"""The open reviews, as folded from their own facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from immutables import Map

from bus.deadline import Deadlines
from bus.decider import fold_by_type
from bus.record import Fact
from bus.seen import Seen
from services.orchestrator.ballot import judge, reviewer_name
from services.records.review import (
    ReviewClosed,
    ReviewEscalated,
    ReviewOpened,
    Vote,
    VoteRecorded,
    VoteRefused,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review that waits for votes."""

    opened: ReviewOpened
    by: tuple[str, ...]  # who is asked now
    quorum: int
    period_ms: int  # until it closes, and again after an escalation; 0 for ever
    votes: tuple[Vote, ...] = ()
    first: int = 0  # of the votes, that counts; earlier ones came before the escalation
    escalated: bool = False

    @property
    def counted(self) -> tuple[Vote, ...]:
        """The votes of those who are asked now."""
        return self.votes[self.first :]

    def has_answered(self, reviewer: str) -> bool:
        return any(reviewer_name(vote.reviewer) == reviewer_name(reviewer) for vote in self.counted)

    @property
    def outcome(self) -> bool | None:
        """Approved, rejected, or None while it is open."""
        return judge(self.by, self.quorum, self.counted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """All open reviews of a partition."""

    open: Map[str, Review] = Map()
    by_run: Map[str, tuple[str, ...]] = Map()  # open reviews of a run
    seen: Seen = Seen()  # reviews that were opened and votes that were answered
    deadlines: Deadlines = Deadlines()  # by review


def _fold_opened(state: Reviews, fact: ReviewOpened, time_ms: int) -> Reviews:
    review = Review(
        opened=fact,
        by=fact.by,
        quorum=fact.quorum,
        period_ms=fact.closes_at_ms - time_ms if fact.closes_at_ms else 0,
    )
    return replace(
        state,
        open=state.open.set(fact.review_id, review),
        by_run=state.by_run.set(fact.run_id, (*state.by_run.get(fact.run_id, ()), fact.review_id)),
        seen=state.seen.add(fact.review_id, time_ms),
        deadlines=_timed(state, fact.review_id, fact.closes_at_ms),
    )


def _timed(state: Reviews, review_id: str, closes_at_ms: int) -> Deadlines:
    return state.deadlines.set(review_id, closes_at_ms) if closes_at_ms else state.deadlines.clear(review_id)


def _fold_vote(state: Reviews, fact: VoteRecorded, time_ms: int) -> Reviews:
    review = state.open[fact.review_id]
    review = replace(review, votes=(*review.votes, fact.vote))
    return replace(state, open=state.open.set(fact.review_id, review), seen=state.seen.add(fact.ask_id, time_ms))


def _fold_refused(state: Reviews, fact: VoteRefused, time_ms: int) -> Reviews:
    return replace(state, seen=state.seen.add(fact.ask_id, time_ms))


def _fold_escalated(state: Reviews, fact: ReviewEscalated, time_ms: int) -> Reviews:
    review = state.open[fact.review_id]
    review = replace(review, by=fact.by, quorum=1, first=len(review.votes), escalated=True)
    return replace(
        state,
        open=state.open.set(fact.review_id, review),
        deadlines=_timed(state, fact.review_id, fact.closes_at_ms),
    )


def _fold_closed(state: Reviews, fact: ReviewClosed, time_ms: int) -> Reviews:
    others = tuple(name for name in state.by_run[fact.run_id] if name != fact.review_id)
    return replace(
        state,
        open=state.open.delete(fact.review_id),
        by_run=state.by_run.set(fact.run_id, others) if others else state.by_run.delete(fact.run_id),
        deadlines=state.deadlines.clear(fact.review_id),
    )


FOLDS: Mapping[type[Fact], Callable[[Reviews, Any, int], Reviews]] = {
    ReviewOpened: _fold_opened,
    VoteRecorded: _fold_vote,
    VoteRefused: _fold_refused,
    ReviewEscalated: _fold_escalated,
    ReviewClosed: _fold_closed,
}

evolve = fold_by_type("orchestrator.reviews", FOLDS)
"""The reviews after one of their facts."""
