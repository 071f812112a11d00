"""/reviews: what waits for votes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from services.audit.progress import hex_of
from services.audit.reviews import Review
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Caller, Calling, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import NotFound, Rejected
from services.gateway.resources.field import Body, Name, Shown, Text, Written, example
from services.records.content import Read
from services.records.review import ReviewVoteRequested

router = APIRouter(prefix=f"{PREFIX}/reviews", tags=["reviews"])


class Subject(Shown):
    """A version that is judged."""

    name: str
    version: int
    sha256: str


class ReviewShown(Shown):
    """A review as it is now."""

    review_id: str
    run_id: str
    stage: str
    execution: int
    status: str = Field(description="open, approved or rejected.")
    by: list[str]
    quorum: int
    votes: int
    subject: list[Subject]
    workspace_id: str
    closes_at: int | None
    reason: str | None
    choices: list[str] = Field(description="What can be chosen, the most suitable first.")
    question: str | None


class SeenVersion(Body):
    """A version that the reviewer has seen."""

    name: Name
    version: Annotated[int, Field(ge=1, le=2**31)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class VoteDraft(Body):
    """A reviewer's answer."""

    model_config = example({"approve": True, "comment": "Well done."})

    approve: bool
    comment: Text = ""
    choice: Annotated[str, Field(max_length=200, description="Which of the choices; the first if empty.")] = ""
    roles: Annotated[
        list[Annotated[str, Field(max_length=200)]],
        Field(default_factory=list, max_length=64, description="`role:NAME` or `profession:NAME` that you hold."),
    ]
    seen: Annotated[
        list[SeenVersion] | None, Field(max_length=64, description="What you have seen; all that is judged if absent.")
    ] = None


class VoteWritten(Written):
    """A vote that counts."""

    review_id: str
    status: str


@router.get("", **shown(Page[ReviewShown], "Reviews, the oldest first."), **needs("viewer", "reviews:read"))
async def list_reviews(
    request: Request,
    gateway: Behind,
    caller: Calling,
    turn: Turning,
    run_id: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[str, Query(max_length=200)] = "",
    _fresh: None = Fresh,
) -> Response:
    """List reviews."""

    def keep(each: Review) -> bool:
        return caller.sees(each.workspace_id) and run_id in ("", each.run_id) and status in ("", each.status)

    return show(request, turn.page(gateway.reading.reviews.reviews, keep, _show))


@router.get("/{review_id}", **shown(ReviewShown, "The review."), **needs("viewer", "reviews:read"))
async def get_review(
    request: Request, gateway: Behind, caller: Calling, review_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Show one review."""
    return show(request, _show(_find(gateway, caller, review_id)))


@router.post("/{review_id}/votes", status_code=201, response_model=VoteWritten, **needs("approver", "reviews:write"))
async def vote(vote: VoteDraft, gateway: Behind, asking: Asking, review_id: Annotated[Name, Path()]) -> Response:
    """Vote on a review, once, under the caller's name."""
    review = _find(gateway, asking.caller, review_id)
    asking.caller.require("approver", review.workspace_id)
    seen = review.subject
    if vote.seen is not None:
        seen = tuple(Read(name=s.name, version=s.version, digest=f"sha256:{s.sha256}") for s in vote.seen)
    ask = ReviewVoteRequested(
        workspace_id=review.workspace_id,
        review_id=review_id,
        reviewer=asking.caller.name,
        roles=_titles(asking.caller, review.workspace_id, vote.roles),
        approve=vote.approve,
        comment=vote.comment,
        choice=vote.choice,
        seen=seen,
    )
    answered = await gateway.desk.ask(ask, asking, review.workspace_id)
    status = gateway.reading.reviews.reviews[review_id].status
    return written(VoteWritten(position=str(answered.shown_at), review_id=review_id, status=status), 201)


def _titles(caller: Caller, workspace: str, claimed: list[str]) -> tuple[str, ...]:
    """What the reviewer is: as the key says, or what an admin claims to be; raises Rejected."""
    if foreign := [title for title in claimed if title not in caller.titles]:
        if not caller.has("admin", workspace):
            raise Rejected(403, f"this key is not held by a {foreign[0]}")
        return tuple(claimed)
    return tuple(claimed) or tuple(sorted(caller.titles))


def _find(gateway: Gateway, caller: Caller, review_id: str) -> Review:
    found = gateway.reading.reviews.reviews.get(review_id)
    if found is None or not caller.sees(found.workspace_id):
        raise NotFound(f"review {review_id}")
    return found


def _show(review: Review) -> ReviewShown:
    return ReviewShown(
        review_id=review.review_id,
        run_id=review.run_id,
        stage=review.stage,
        execution=review.execution,
        status=review.status,
        by=list(review.by),
        quorum=review.quorum,
        votes=review.votes,
        subject=[Subject(name=r.name, version=r.version, sha256=hex_of(r.digest)) for r in review.subject],
        workspace_id=review.workspace_id,
        closes_at=review.closes_at_ms or None,
        reason=review.reason or None,
        choices=list(review.choices),
        question=review.question or None,
    )
