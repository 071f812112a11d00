"""Reviews: votes, quorum, time and cancellation."""

from typing import Any

import pytest

from bus.log import RECORD_BYTES_MAX
from bus.record import Origin, Record
from bus.testing import NOW_MS, Scenario, given
from services.orchestrator import reviews as module
from services.orchestrator.reviews import COMMENT_BYTES_MAX, COMMENTS_BYTES_MAX, REVIEWS, VOTES_MAX
from services.orchestrator.reviews_state import Reviews
from services.records import language_codec
from services.records.content import Read, Work
from services.records.review import (
    ReviewClosed,
    ReviewEscalated,
    ReviewOpened,
    ReviewVoteRequested,
    Vote,
    VoteRecorded,
    VoteRefused,
)
from services.records.task import (
    CancelRequested,
    Fit,
    Pick,
    ReviewRequested,
    RunEnded,
    StageEnded,
    TaskDoubted,
    TaskLost,
)

DAY_MS = 24 * 3600 * 1000
DRAFT = Read(name="draft", version=2, digest="sha256:d2")


def requested(review: str = "r", **fields: Any) -> ReviewRequested:
    given_fields = {
        "workspace_id": "w",
        "review_id": review,
        "run_id": "run",
        "stage": "approve",
        "execution": 1,
        "by": ("role:lead",),
        **fields,
    }
    return ReviewRequested.model_validate(given_fields)


def opened(**fields: Any) -> Scenario[Reviews]:
    return given(REVIEWS).when(requested(**fields)).then_types(ReviewOpened)


def vote(reviewer: str = "ann", approve: bool = True, **fields: object) -> ReviewVoteRequested:
    roles = fields.pop("roles", ("role:lead",))
    return ReviewVoteRequested.model_validate(
        {"workspace_id": "w", "review_id": "r", "reviewer": reviewer, "roles": roles, "approve": approve, **fields}
    )


def refusal(scenario: Scenario[Reviews]) -> str:
    scenario.then_types(VoteRefused)
    fact = scenario.facts[0]
    assert isinstance(fact, VoteRefused)
    return fact.reason


def closing(scenario: Scenario[Reviews]) -> ReviewClosed:
    fact = scenario.facts[-1]
    assert isinstance(fact, ReviewClosed), scenario.facts
    assert not scenario.state.by_run
    assert REVIEWS.deadlines(scenario.state).first() is None
    return fact


# Opening.


def test_a_review_is_opened_once() -> None:
    request = requested(subject=(DRAFT,), timeout_ms=DAY_MS, on_timeout="escalate", escalate_to="role:owner", quorum=2)
    reviews = given(REVIEWS).when(request)
    reviews.then(
        ReviewOpened(
            workspace_id="w",
            review_id="r",
            run_id="run",
            stage="approve",
            execution=1,
            by=("role:lead",),
            quorum=2,
            subject=(DRAFT,),
            closes_at_ms=NOW_MS + DAY_MS,
            on_timeout="escalate",
            escalate_to="role:owner",
        )
    )
    reviews.when(request).then()


def test_a_closed_review_is_not_opened_again() -> None:
    reviews = opened().when(vote()).then_types(VoteRecorded, ReviewClosed)
    reviews.when(requested()).then()


def test_a_run_has_a_most_of_open_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REVIEWS_MAX", 1)
    reviews = opened().when(requested("one more")).then_types(ReviewOpened, ReviewClosed)
    closed = reviews.facts[1]
    assert isinstance(closed, ReviewClosed)
    assert not closed.approved
    assert dict(reviews.state.by_run) == {"run": ("r",)}


def test_a_quorum_that_no_review_can_reach_is_rejected_at_once() -> None:
    closing(given(REVIEWS).when(requested(quorum=65)).then_types(ReviewOpened, ReviewClosed))


def test_the_largest_review_fits_into_one_record() -> None:
    by = tuple(f"person:{name}" for name in ("人" * 190 + str(number) for number in range(VOTES_MAX)))
    reviews = opened(by=by, quorum=VOTES_MAX)
    for entry in by:
        comment = "x" * (COMMENTS_BYTES_MAX // VOTES_MAX)
        reviews.when(vote(entry.removeprefix("person:"), comment=comment))
    closed = closing(reviews)
    origin = Origin("fact", "orchestrator.reviews", "s" * 32, 1, 1, 0, 1, "review/0/1")
    raw = language_codec().encode(closed, record_id="i", origin=origin, time_ms=0, trace="0" * 32)
    assert len(raw.value) < RECORD_BYTES_MAX


# Voting.


def test_a_quorum_of_approvals_closes_it_with_the_votes() -> None:
    reviews = opened(quorum=2).when(vote("ann", comment="fine"), record_id="v1")
    ann = Vote(reviewer="ann", approve=True, comment="fine", entitlement="role:lead")
    reviews.then(VoteRecorded(workspace_id="w", review_id="r", vote=ann, ask_id="v1"))
    reviews.when(vote("bob"), record_id="v2").then_types(VoteRecorded, ReviewClosed)
    closed = closing(reviews)
    assert (closed.approved, closed.stage, closed.execution, closed.run_id) == (True, "approve", 1, "run")
    assert closed.reason == "2 for and 0 against, 2 needed"
    assert [cast.reviewer for cast in closed.votes] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("by", "quorum", "rejections"),
    [
        (("role:lead",), 1, 1),
        ((), 1, 1),
        (("role:lead",), 2, 1),
        (("role:lead", "profession:architect"), 1, 2),
        (("person:ann", "person:bob", "person:cy"), 2, 2),
        (("person:ann", "person:bob", "person:cy"), 3, 1),
    ],
)
def test_it_is_rejected_once_the_quorum_cannot_be_reached(by: tuple[str, ...], quorum: int, rejections: int) -> None:
    reviews = opened(by=by, quorum=quorum)
    for number, name in enumerate(("ann", "bob", "cy")[:rejections], start=1):
        reviews.when(vote(name, approve=False, comment=f"no, {name}"))
        reviews.then_types(VoteRecorded, *[ReviewClosed] * (number == rejections))
    closed = closing(reviews)
    assert not closed.approved
    assert len(closed.votes) == rejections


def test_the_same_vote_twice_counts_once_and_says_nothing() -> None:
    reviews = opened(quorum=2).when(vote(), record_id="v1").when(vote(), record_id="v1").then()
    reviews.when(vote(roles=()), record_id="v2").then_types(VoteRefused)
    reviews.when(vote(roles=()), record_id="v2").then()


def test_each_reviewer_has_one_answer() -> None:
    reviews = opened(quorum=2).when(vote("ann"))
    assert "answered already" in refusal(reviews.when(vote("ann", approve=False)))
    assert "answered already" in refusal(reviews.when(vote("person:ann", approve=False)))


@pytest.mark.parametrize(
    ("by", "reviewer", "roles", "entitlement"),
    [
        (("person:ann",), "ann", (), "person:ann"),
        (("person:ann",), "person:ann", (), "person:ann"),
        (("instance:i7",), "instance:i7", (), "instance:i7"),
        (("role:lead", "profession:architect"), "instance:i7", ("profession:architect",), "profession:architect"),
        (("role:lead",), "bob", ("lead",), "role:lead"),
        ((), "anyone", (), "anybody"),
        (("role:lead",), "role:lead", (), None),
        (("role:lead",), "ann", ("role:dev",), None),
        (("person:bob",), "ann", ("person:bob",), None),
        (("instance:i7",), "ann", ("instance:i7",), None),
        (("profession:lead",), "ann", ("lead",), None),
    ],
)
def test_only_those_who_are_asked_may_answer(
    by: tuple[str, ...], reviewer: str, roles: tuple[str, ...], entitlement: str | None
) -> None:
    reviews = opened(by=by).when(vote(reviewer, roles=roles))
    if entitlement is None:
        assert "none of those who are asked" in refusal(reviews)
    else:
        assert [cast.entitlement for cast in closing(reviews).votes] == [entitlement]


def test_a_vote_is_bound_to_what_was_seen() -> None:
    reviews = opened(subject=(DRAFT,))
    older = DRAFT.model_copy(update={"version": 1, "digest": "sha256:d1"})
    assert "draft was not seen" in refusal(reviews.when(vote()))
    assert "draft was not seen" in refusal(reviews.when(vote(seen=(older,))))
    assert closing(reviews.when(vote(seen=(older, DRAFT)))).approved


@pytest.mark.parametrize("change", [{"review_id": "other"}, {"workspace_id": "v"}])
def test_a_vote_on_no_open_review_is_refused(change: dict[str, str]) -> None:
    assert "no open review" in refusal(opened().when(vote().model_copy(update=change)))
    closed = opened().when(vote())
    assert "no open review" in refusal(closed.when(vote("bob")))


def test_votes_and_comments_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = opened(quorum=10)
    assert "too long" in refusal(reviews.when(vote(comment="é" * (COMMENT_BYTES_MAX // 2 + 1))))
    most = COMMENTS_BYTES_MAX // COMMENT_BYTES_MAX
    for number in range(most):
        reviews.when(vote(f"r{number}", comment="x" * COMMENT_BYTES_MAX)).then_types(VoteRecorded)
    assert "too long" in refusal(reviews.when(vote("ann", comment="x")))
    monkeypatch.setattr(module, "VOTES_MAX", most)
    assert "the most" in refusal(reviews.when(vote("bob")))
    assert "name its reviewer" in refusal(reviews.when(vote("")))


# Time.


@pytest.mark.parametrize(("on_timeout", "approved"), [("approve", True), ("reject", False), ("escalate", False)])
def test_a_review_that_is_not_decided_in_time_closes_as_it_says(on_timeout: str, approved: bool) -> None:
    reviews = opened(timeout_ms=DAY_MS, on_timeout=on_timeout, quorum=2).when(vote()).when_deadline()
    assert reviews.now_ms == NOW_MS + DAY_MS
    closed = closing(reviews.then_types(ReviewClosed))
    assert closed.approved == approved
    assert len(closed.votes) == 1


def test_a_review_without_a_timeout_waits() -> None:
    assert REVIEWS.deadlines(opened().state).first() is None


def escalated() -> Scenario[Reviews]:
    fields: dict[str, Any] = {"timeout_ms": DAY_MS, "on_timeout": "escalate", "escalate_to": "role:owner", "quorum": 3}
    reviews = opened(**fields).at(NOW_MS + 5).when(vote("ann")).when_deadline()
    return reviews.then(
        ReviewEscalated(workspace_id="w", review_id="r", by=("role:owner",), closes_at_ms=NOW_MS + 2 * DAY_MS)
    )


@pytest.mark.parametrize("approve", [True, False])
def test_after_an_escalation_the_first_answer_of_those_who_are_asked_now_decides(approve: bool) -> None:
    reviews = escalated()
    assert "none of those" in refusal(reviews.when(vote("bob")))
    reviews.when(vote("ann", approve=approve, roles=("role:owner",)))
    closed = closing(reviews)
    assert closed.approved == approve
    assert len(closed.votes) == 2
    assert closed.reason.endswith("1 needed after the escalation")


def test_silence_after_an_escalation_is_a_rejection() -> None:
    reviews = escalated().when_deadline()
    assert reviews.now_ms == NOW_MS + 2 * DAY_MS
    assert not closing(reviews.then_types(ReviewClosed)).approved


def test_an_overdue_review_ends_once() -> None:
    reviews = opened(timeout_ms=5).at(NOW_MS + DAY_MS).when_deadline().then_types(ReviewClosed)
    closing(reviews)


# The end of the stage or the run.


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (RunEnded(workspace_id="w", run_id="run", status="cancelled"), "its run is over: cancelled"),
        (
            StageEnded(workspace_id="w", run_id="run", stage="approve", execution=1, status="skipped"),
            "its stage is over: skipped",
        ),
        (
            CancelRequested(workspace_id="w", run_id="run", task_id="r", attempt_id="", reason="a sibling won"),
            "it was cancelled: a sibling won",
        ),
    ],
)
def test_a_review_that_nobody_waits_for_is_closed_as_rejected(record: Record, reason: str) -> None:
    reviews = opened(timeout_ms=DAY_MS, quorum=2).when(vote()).when(record)
    closed = closing(reviews.then_types(ReviewClosed))
    assert (closed.approved, closed.reason, closed.votes) == (False, reason, ())
    reviews.when(record).then()


@pytest.mark.parametrize(
    "record",
    [
        RunEnded(workspace_id="w", run_id="another", status="completed"),
        StageEnded(workspace_id="w", run_id="run", stage="approve", execution=2, status="skipped"),
        StageEnded(workspace_id="w", run_id="run", stage="other", execution=1, status="failed"),
        StageEnded(workspace_id="w", run_id="run", stage="approve", execution=1, task_id="x", status="failed"),
        CancelRequested(workspace_id="w", run_id="run", task_id="t", attempt_id="a", reason="no"),
    ],
)
def test_what_ends_elsewhere_does_not_close_a_review(record: Record) -> None:
    opened().when(record).then()


def test_the_end_of_a_run_closes_all_its_reviews() -> None:
    reviews = opened().when(requested("r2")).when(requested("q", run_id="other"))
    reviews.when(RunEnded(workspace_id="w", run_id="run", status="failed")).then_types(ReviewClosed, ReviewClosed)
    assert sorted(reviews.state.open) == ["q"]


def doubted() -> Scenario[Reviews]:
    """A review on who should do a task."""
    work = Work(run_id="run", stage="write", execution=1, instructions="do what is to be done")
    ranked = (Fit(profession="tester", score=1.2), Fit(profession="writer", score=1.1))
    fact = TaskDoubted(
        workspace_id="w",
        task_id="task",
        attempt_id="r",
        work=work,
        pick=Pick(matcher="terms-1", certainty=0.2, ranked=ranked),
        choices=("tester", "writer"),
        reason="tester is not clearly ahead of writer",
    )
    return given(REVIEWS).when(fact).then_types(ReviewOpened)


def test_a_task_in_doubt_opens_a_review_with_its_words_and_the_choices() -> None:
    (fact,) = doubted().facts
    assert isinstance(fact, ReviewOpened)
    assert (fact.review_id, fact.choices, fact.by) == ("r", ("tester", "writer"), ())
    assert "do what is to be done" in fact.question


@pytest.mark.parametrize(("choice", "taken"), [("writer", "writer"), ("", "tester")])
def test_the_first_answer_chooses_or_takes_what_stands_first(choice: str, taken: str) -> None:
    scenario = doubted().when(vote(roles=(), choice=choice)).then_types(VoteRecorded, ReviewClosed)
    fact = scenario.facts[1]
    assert isinstance(fact, ReviewClosed)
    assert (fact.approved, fact.choice) == (True, taken)


def test_what_is_none_of_the_choices_does_not_count() -> None:
    assert "none of the choices: tester, writer" in refusal(doubted().when(vote(roles=(), choice="cook")))
    assert "nothing to choose" in refusal(opened().when(vote(seen=(), choice="cook")))


def test_a_review_on_who_should_do_a_task_ends_with_the_attempt() -> None:
    lost = TaskLost(workspace_id="w", run_id="run", task_id="task", attempt_id="r", code="queue_timeout", reason="late")
    (fact,) = doubted().when(lost).then_types(ReviewClosed).facts
    assert isinstance(fact, ReviewClosed)
    assert (fact.approved, fact.choice) == (False, "")
