"""ReviewChannel: reviews, their votes and ends."""

from bus.record import Ask, Fact, Record, Value
from services.records.content import Read
from services.records.message import ReviewMessageRequested


class ReviewVoteRequested(Ask, channel="review", role="approver", scope="reviews:write"):
    """A reviewer's answer, bound to the digests of what was seen."""

    workspace_id: str
    review_id: str
    reviewer: str  # a person's name or "instance:ID"
    roles: tuple[str, ...] = ()  # "role:NAME" and "profession:NAME" that the reviewer holds
    approve: bool
    comment: str = ""
    seen: tuple[Read, ...] = ()
    choice: str = ""  # where the review has choices: which one; approved without a choice means the first


class Vote(Value):
    """One answer that counted."""

    reviewer: str
    approve: bool
    comment: str = ""
    entitlement: str = ""  # the entry of the review's `by` under which it counts
    choice: str = ""


class ReviewOpened(Fact, channel="review"):
    """A review waits for votes."""

    workspace_id: str
    review_id: str
    run_id: str
    stage: str
    execution: int
    by: tuple[str, ...]
    quorum: int
    subject: tuple[Read, ...] = ()
    closes_at_ms: int = 0
    on_timeout: str = "reject"
    escalate_to: str = ""
    choices: tuple[str, ...] = ()  # what can be chosen, the most suitable first; empty: it is only approved or not
    question: str = ""


class VoteRecorded(Fact, channel="review"):
    """A vote counts."""

    workspace_id: str
    review_id: str
    vote: Vote
    ask_id: str = ""


class VoteRefused(Fact, channel="review"):
    """A vote does not count, with the reason in a sentence."""

    workspace_id: str
    review_id: str
    reviewer: str
    ask_id: str
    reason: str


class ReviewEscalated(Fact, channel="review"):
    """Nobody answered in time; others are asked, and the first answer of one of them decides."""

    workspace_id: str
    review_id: str
    by: tuple[str, ...]
    closes_at_ms: int = 0


class ReviewClosed(Fact, channel="review"):
    """The outcome of a review; runs goes on from here."""

    workspace_id: str
    review_id: str
    run_id: str
    stage: str
    execution: int
    approved: bool
    reason: str = ""
    votes: tuple[Vote, ...] = ()
    choice: str = ""  # of an approved review that has choices


RECORDS: tuple[type[Record], ...] = (
    ReviewVoteRequested,
    ReviewOpened,
    VoteRecorded,
    VoteRefused,
    ReviewEscalated,
    ReviewClosed,
    ReviewMessageRequested,
)
