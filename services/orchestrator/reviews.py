"""Reviews: who may vote, when a review is decided, and what becomes of it in time.

A review closes as approved with its quorum, as rejected once that can no longer be reached, and in time as its
`on_timeout` says. An escalation asks somebody else instead, once: the first answer of those decides, and silence is a
rejection. A review whose stage or run is over is closed as rejected.
"""

from collections.abc import Callable, Mapping

from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.orchestrator.ballot import find_entitlement, find_unseen, reviewer_name
from services.orchestrator.reviews_state import FOLDS, Review, Reviews, evolve
from services.records.permission import find_lack
from services.records.review import (
    ReviewClosed,
    ReviewEscalated,
    ReviewOpened,
    ReviewVoteRequested,
    Vote,
    VoteRecorded,
    VoteRefused,
)
from services.records.task import CancelRequested, ReviewRequested, RunEnded, StageEnded, TaskDoubted, TaskLost

REVIEWS_MAX = 100
"""Most open reviews of a run; one more is rejected at once. All are closed in one decision when the run ends."""

VOTES_MAX = 64
"""Most votes of a review; all of them stand in `ReviewClosed`."""

COMMENT_BYTES_MAX = 16 * 1024
"""Largest comment of a vote."""

COMMENTS_BYTES_MAX = 48 * 1024
"""Largest sum of the comments of a review, so that `ReviewClosed` stays below the size of a record."""

NAME_LENGTH_MAX = 200
"""Characters of a reviewer's name."""

QUESTION_CHARS_MAX = 2_000
"""Characters of a task's words that stand in the review on who should do it."""

REASON_LENGTH_MAX = 1_000
"""Characters of somebody else's reason that are repeated."""


def decide(draft: Draft[Reviews], heard: Envelope) -> None:
    """Open reviews, count votes, close."""
    if isinstance(heard.record, DeadlineReached):
        _meet_deadline(draft, heard.record)
    elif answer := _ANSWERS.get(type(heard.record)):
        answer(draft, heard)


def _open(draft: Draft[Reviews], heard: Envelope) -> None:
    request: ReviewRequested = heard.record
    if request.review_id in draft.state.seen or request.review_id in draft.state.open:
        return
    fault = _find_excess(draft.state, request.run_id, request.quorum)
    draft.add(
        ReviewOpened(
            workspace_id=request.workspace_id,
            review_id=request.review_id,
            run_id=request.run_id,
            stage=request.stage,
            execution=request.execution,
            by=request.by,
            quorum=max(request.quorum, 1),
            subject=request.subject,
            closes_at_ms=draft.now_ms + request.timeout_ms if request.timeout_ms > 0 else 0,
            on_timeout=request.on_timeout,
            escalate_to=request.escalate_to,
        )
    )
    if fault:
        _drop(draft, draft.state.open[request.review_id], fault)


def _open_choice(draft: Draft[Reviews], heard: Envelope) -> None:
    """A task waits for a word on who should do it; anybody who may vote may say so, and the first word counts."""
    doubted: TaskDoubted = heard.record
    if doubted.attempt_id in draft.state.seen or doubted.attempt_id in draft.state.open:
        return
    work = doubted.work
    excess = _find_excess(draft.state, work.run_id, 1)
    draft.add(
        ReviewOpened(
            workspace_id=doubted.workspace_id,
            review_id=doubted.attempt_id,
            run_id=work.run_id,
            stage=work.stage,
            execution=work.execution,
            by=(),
            quorum=1,
            choices=doubted.choices,
            question=f"which profession should do it: {work.instructions[:QUESTION_CHARS_MAX]} ({doubted.reason})",
        )
    )
    if excess:
        _drop(draft, draft.state.open[doubted.attempt_id], excess)


def _find_excess(state: Reviews, run_id: str, quorum: int) -> str:
    if quorum > VOTES_MAX:
        return f"it needs {quorum} approvals, and a review has at most {VOTES_MAX} votes"
    if len(state.by_run.get(run_id, ())) >= REVIEWS_MAX:
        return f"a run may have {REVIEWS_MAX} open reviews, and this was one more"
    return ""


def _vote(draft: Draft[Reviews], heard: Envelope) -> None:
    ask: ReviewVoteRequested = heard.record
    if heard.id in draft.state.seen:
        return
    review = draft.state.open.get(ask.review_id)
    if lack := find_lack(ask):
        _refuse(draft, ask, heard.id, lack)
    elif review is None or review.opened.workspace_id != ask.workspace_id:
        _refuse(draft, ask, heard.id, f"workspace `{ask.workspace_id}` has no open review {ask.review_id}")
    elif reason := _find_fault(review, ask):
        _refuse(draft, ask, heard.id, reason)
    else:
        _count(draft, ask, heard.id, find_entitlement(review.by, ask) or "")


def _find_fault(review: Review, ask: ReviewVoteRequested) -> str:
    if not 0 < len(reviewer_name(ask.reviewer)) <= NAME_LENGTH_MAX:
        return f"a vote must name its reviewer, with at most {NAME_LENGTH_MAX} characters"
    if find_entitlement(review.by, ask) is None:
        return f"{ask.reviewer} is none of those who are asked: {', '.join(review.by)}"
    if review.has_answered(ask.reviewer):
        return f"{ask.reviewer} has answered already, and each reviewer has one answer"
    if ask.choice and ask.choice not in review.opened.choices:
        choices = ", ".join(review.opened.choices)
        return (
            f"`{ask.choice}` is none of the choices: {choices}" if choices else "the review has nothing to choose from"
        )
    if unseen := find_unseen(review.opened.subject, ask.seen):
        return f"the vote is not about what is judged: {', '.join(unseen)} was not seen, or in another version"
    return _find_overflow(review, ask)


def _find_overflow(review: Review, ask: ReviewVoteRequested) -> str:
    if len(review.votes) >= VOTES_MAX:
        return f"the review has {VOTES_MAX} votes, which is the most it may have"
    size = len(ask.comment.encode())
    written = sum(len(vote.comment.encode()) for vote in review.votes)
    if size > COMMENT_BYTES_MAX or size + written > COMMENTS_BYTES_MAX:
        return f"the comment is too long: one may have {COMMENT_BYTES_MAX} bytes, and all {COMMENTS_BYTES_MAX}"
    return ""


def _refuse(draft: Draft[Reviews], ask: ReviewVoteRequested, ask_id: str, reason: str) -> None:
    draft.add(
        VoteRefused(
            workspace_id=ask.workspace_id,
            review_id=ask.review_id,
            reviewer=ask.reviewer[:NAME_LENGTH_MAX],
            ask_id=ask_id,
            reason=reason,
        )
    )


def _count(draft: Draft[Reviews], ask: ReviewVoteRequested, ask_id: str, entitlement: str) -> None:
    vote = Vote(
        reviewer=ask.reviewer,
        approve=ask.approve,
        comment=ask.comment,
        entitlement=entitlement,
        choice=ask.choice if ask.approve else "",
    )
    draft.add(VoteRecorded(workspace_id=ask.workspace_id, review_id=ask.review_id, vote=vote, ask_id=ask_id))
    review = draft.state.open[ask.review_id]
    if review.outcome is not None:
        _close(draft, review, review.outcome, _tell_outcome(review), review.votes)


def _tell_outcome(review: Review) -> str:
    yes = sum(vote.approve for vote in review.counted)
    votes = f"{yes} for and {len(review.counted) - yes} against"
    return f"{votes}, {review.quorum} needed" + (" after the escalation" if review.escalated else "")


def _close(draft: Draft[Reviews], review: Review, approved: bool, reason: str, votes: tuple[Vote, ...]) -> None:
    opened = review.opened
    draft.add(
        ReviewClosed(
            workspace_id=opened.workspace_id,
            review_id=opened.review_id,
            run_id=opened.run_id,
            stage=opened.stage,
            execution=opened.execution,
            approved=approved,
            reason=reason,
            votes=votes,
            choice=_choice(review) if approved else "",
        )
    )


def _choice(review: Review) -> str:
    """What was chosen: by the first who said so, else what stands first."""
    said = [vote.choice for vote in review.counted if vote.approve and vote.choice]
    return next(iter((*said, *review.opened.choices)), "")


def _meet_deadline(draft: Draft[Reviews], reached: DeadlineReached) -> None:
    at_ms = draft.state.deadlines.times.get(reached.id)
    if at_ms is None or at_ms > draft.now_ms:
        return
    review = draft.state.open[reached.id]
    opened = review.opened
    if opened.on_timeout == "escalate" and opened.escalate_to and not review.escalated:
        draft.add(
            ReviewEscalated(
                workspace_id=opened.workspace_id,
                review_id=opened.review_id,
                by=(opened.escalate_to,),
                closes_at_ms=draft.now_ms + review.period_ms,
            )
        )
    else:
        approved = opened.on_timeout == "approve"
        reason = f"it was not decided in time, which is to {'approve' if approved else 'reject'}"
        _close(draft, review, approved, reason, review.votes)


def _end_with_attempt(draft: Draft[Reviews], heard: Envelope) -> None:
    lost: TaskLost = heard.record
    if lost.attempt_id in draft.state.open:
        _drop(draft, draft.state.open[lost.attempt_id], f"the task it is about is lost: {lost.reason}")


def _end_with_run(draft: Draft[Reviews], heard: Envelope) -> None:
    ended: RunEnded = heard.record
    for review in _of_run(draft.state, ended.run_id):
        _drop(draft, review, f"its run is over: {ended.status}")


def _end_with_stage(draft: Draft[Reviews], heard: Envelope) -> None:
    ended: StageEnded = heard.record
    for review in _of_run(draft.state, ended.run_id):
        is_of_stage = (review.opened.stage, review.opened.execution) == (ended.stage, ended.execution)
        if is_of_stage and ended.task_id in ("", review.opened.review_id):
            _drop(draft, review, f"its stage is over: {ended.status}")


def _cancel(draft: Draft[Reviews], heard: Envelope) -> None:
    cancelled: CancelRequested = heard.record
    for review in _of_run(draft.state, cancelled.run_id):
        if review.opened.review_id in (cancelled.task_id, cancelled.attempt_id):
            _drop(draft, review, f"it was cancelled: {cancelled.reason}")


def _of_run(state: Reviews, run_id: str) -> list[Review]:
    return [state.open[review_id] for review_id in state.by_run.get(run_id, ())]


def _drop(draft: Draft[Reviews], review: Review, reason: str) -> None:
    """Close a review that nobody waits for any more; its votes stand in the log and are not repeated."""
    _close(draft, review, False, reason[:REASON_LENGTH_MAX], ())


_ANSWERS: Mapping[type[Record], Callable[[Draft[Reviews], Envelope], None]] = {
    ReviewRequested: _open,
    TaskDoubted: _open_choice,
    TaskLost: _end_with_attempt,
    ReviewVoteRequested: _vote,
    CancelRequested: _cancel,
    StageEnded: _end_with_stage,
    RunEnded: _end_with_run,
}

REVIEWS: Role[Reviews] = Role(
    name="orchestrator.reviews",
    home="review",
    hears=frozenset(_ANSWERS),
    says=frozenset(FOLDS),
    quarantines=frozenset({"review"}),
    initial=Reviews,
    decide=decide,
    evolve=evolve,
    deadlines=lambda reviews: reviews.deadlines,
)
