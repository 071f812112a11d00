"""What a review tells: its result, and its feedback as an artifact."""

from __future__ import annotations

import json

from services.definitions.dataflow import FEEDBACK
from services.definitions.stage import Stage
from services.definitions.versions import digest_of
from services.records.content import INLINE_BYTES_MAX, Content
from services.records.review import ReviewClosed, Vote

COMMENT_CHARS_MAX = 2_000
"""Longest comment that stands in the result; the whole one stands in the review's own facts."""


def result_of(closed: ReviewClosed, number: int) -> str:
    """The result of a review stage as JSON: approved, round, votes, feedback."""
    votes = [_vote(vote) for vote in closed.votes]
    value = {"approved": closed.approved, "round": number, "votes": votes, "feedback": feedback_of(closed)}
    return json.dumps(value, ensure_ascii=False)


def feedback_of(closed: ReviewClosed) -> str:
    """What the reviewers wrote, else the reason of the outcome; as much as an artifact holds inline."""
    comments = [f"{vote.reviewer}: {vote.comment}" for vote in closed.votes if vote.comment]
    text = "\n\n".join(comments) or closed.reason
    return text.encode()[:INLINE_BYTES_MAX].decode(errors="ignore")


def feedback_content(stage: Stage, closed: ReviewClosed) -> tuple[Content, ...]:
    """The artifact that tells whoever works on it next; an approval without a word writes none."""
    if closed.approved and not any(vote.comment for vote in closed.votes):
        return ()
    data = feedback_of(closed).encode()
    name = stage.output[0].name if stage.output else FEEDBACK
    return (Content(name=name, digest=digest_of(data), size=len(data), media_type="text/plain", inline=data),)


def _vote(vote: Vote) -> dict[str, object]:
    return {"reviewer": vote.reviewer, "approve": vote.approve, "comment": vote.comment[:COMMENT_CHARS_MAX]}
