"""Versions of artifacts and the conflict of two writers on one base."""

from hypothesis import given
from hypothesis import strategies as st

from services.definitions.versions import Conflict, digest_of, find_fault, write_version
from services.records.content import INLINE_BYTES_MAX, Artifact, Content


def content(data: bytes = b"text", **fields: object) -> Content:
    found = {"name": "report", "digest": digest_of(data), "size": len(data), "inline": data, **fields}
    return Content.model_validate(found)


def test_the_first_version_is_written_from_nothing() -> None:
    written = write_version(content(), newest=0)
    assert isinstance(written, Artifact)
    assert (written.version, written.base_version, written.inline) == (1, 0, b"text")


def test_a_stale_base_is_a_conflict_that_says_what_stands() -> None:
    refused = write_version(content(base_version=1), newest=3)
    assert refused == Conflict(
        name="report",
        base_version=1,
        newest=3,
        reason="`report` was written from version 1, but version 3 stands meanwhile",
    )


def test_a_base_that_never_was_is_a_conflict() -> None:
    refused = write_version(content(base_version=2), newest=0)
    assert isinstance(refused, Conflict)
    assert refused.reason == "`report` was written from version 2, but there is no version of it"


@given(st.lists(st.integers(0, 5), max_size=40))
def test_of_the_writers_on_one_base_exactly_one_wins(bases: list[int]) -> None:
    newest, won = 0, []
    for base in bases:
        written = write_version(content(base_version=base), newest)
        if isinstance(written, Artifact):
            won.append(base)
            newest = written.version
    assert won == list(range(newest))


def test_a_content_without_fault_has_none() -> None:
    assert find_fault(content()) == ""
    assert find_fault(content(inline=None)) == ""


def test_faults_of_a_content_are_named() -> None:
    assert "not sha256" in find_fault(content(digest="sha256:abc"))
    assert "not sha256" in find_fault(content(digest=digest_of(b"text") + "\n"))
    assert "negative" in find_fault(content(size=-1))
    assert "does not describe" in find_fault(content(size=5))
    assert "does not describe" in find_fault(content(digest=digest_of(b"other")))
    assert "more than" in find_fault(content(b"x" * (INLINE_BYTES_MAX + 1)))
