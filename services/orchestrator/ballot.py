"""The rules of a vote: who may answer, whether what was seen is what is judged, and when the outcome is certain."""

from collections.abc import Iterable

from services.records.content import Read
from services.records.review import ReviewVoteRequested, Vote

PERSON = "person:"


def reviewer_name(reviewer: str) -> str:
    """The one name of a reviewer: a person's own, or "instance:ID"."""
    return reviewer.removeprefix(PERSON)


def find_entitlement(by: tuple[str, ...], ask: ReviewVoteRequested) -> str | None:
    """The entry of `by` under which this reviewer may answer: by name, role or profession. None if there is none.

    Nobody is asked by name for anything but a person or an instance, nor by role for anything else.
    """
    if not by:
        return "anybody"
    name = reviewer_name(ask.reviewer)
    held = {name if name.startswith("instance:") else PERSON + name}
    for role in ask.roles:
        kind, colon, _ = role.partition(":")
        if not colon:
            held.add(f"role:{role}")
        elif kind in ("role", "profession"):
            held.add(role)
    return next((entry for entry in by if entry in held), None)


def find_unseen(subject: tuple[Read, ...], seen: tuple[Read, ...]) -> tuple[str, ...]:
    """Names of what is judged that the reviewer has not seen, or not with this digest."""
    looked_at = {(read.name, read.digest) for read in seen}
    return tuple(sorted({read.name for read in subject if (read.name, read.digest) not in looked_at}))


def judge(by: tuple[str, ...], quorum: int, votes: Iterable[Vote]) -> bool | None:
    """Approved, rejected, or None while it is open.

    Every entry of `by` counts as one seat, and there are no fewer seats than the quorum. The review is rejected once
    the seats that did not reject are fewer than the quorum: with as many seats as the quorum the first rejection ends
    it.
    """
    answers = [vote.approve for vote in votes]
    if answers.count(True) >= quorum:
        return True
    if max(len(by), quorum) - answers.count(False) < quorum:
        return False
    return None
