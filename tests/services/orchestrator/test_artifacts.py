"""Artifacts that a workspace shares: versions, conflicts and refusals."""

import pytest
from hypothesis import given as sampled
from hypothesis import strategies as st

from bus.testing import Scenario, given
from services.definitions.versions import digest_of
from services.orchestrator import artifacts
from services.orchestrator.artifacts import ARTIFACTS, Shelves
from services.records.content import Artifact, Content
from services.records.data import ArtifactConflicted, ArtifactRecorded, ArtifactRefused, ArtifactWriteRequested


def content(name: str = "plan", base_version: int = 0, text: bytes = b"text") -> Content:
    return Content(name=name, digest=digest_of(text), size=len(text), inline=text, base_version=base_version)


def write(what: Content, workspace: str = "w") -> ArtifactWriteRequested:
    return ArtifactWriteRequested(workspace_id=workspace, content=what, writer="ann")


def refusal(scenario: Scenario[Shelves]) -> str:
    scenario.then_types(ArtifactRefused)
    fact = scenario.facts[0]
    assert isinstance(fact, ArtifactRefused)
    return fact.reason


def test_a_write_gets_the_next_version() -> None:
    shelves = given(ARTIFACTS).when(write(content()), record_id="a")
    first = Artifact(name="plan", version=1, digest=digest_of(b"text"), size=4, inline=b"text", base_version=0)
    shelves.then(ArtifactRecorded(workspace_id="w", ask_id="a", artifact=first, writer="ann"))
    shelves.when(write(content(base_version=1)), record_id="b").then_types(ArtifactRecorded)
    assert shelves.state.shelf("w")["plan"] == 2


def test_a_write_from_a_base_that_is_no_longer_the_newest_is_a_recorded_conflict() -> None:
    shelves = given(ARTIFACTS).when(write(content()), record_id="a").when(write(content(text=b"other")), record_id="b")
    shelves.then(
        ArtifactConflicted(
            workspace_id="w",
            ask_id="b",
            content=content(text=b"other"),
            newest=1,
            writer="ann",
            reason="`plan` was written from nothing, but version 1 stands meanwhile",
        )
    )


@pytest.mark.parametrize("base_version", [0, 7])
def test_the_same_ask_twice_is_answered_once(base_version: int) -> None:
    ask = write(content(base_version=base_version))
    shelves = given(ARTIFACTS).when(ask, record_id="a")
    assert len(shelves.facts) == 1
    shelves.when(ask, record_id="a").then()


def test_workspaces_and_names_are_apart() -> None:
    shelves = given(ARTIFACTS).when(write(content()))
    shelves.when(write(content(), "v")).then_types(ArtifactRecorded)
    shelves.when(write(content("other"))).then_types(ArtifactRecorded)


def test_the_prefix_of_definitions_is_not_part_of_the_name() -> None:
    shelves = given(ARTIFACTS).when(write(content("workspace:plan")))
    assert dict(shelves.state.shelf("w")) == {"plan": 1}


def test_a_content_that_is_none_is_refused_once() -> None:
    ask = write(content().model_copy(update={"size": 5}))
    shelves = given(ARTIFACTS).when(ask, record_id="a")
    assert "does not describe" in refusal(shelves)
    shelves.when(ask, record_id="a").then()


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a b", "x" * 121, "workspace:", "plan\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    assert "is no name" in refusal(given(ARTIFACTS).when(write(content(name))))


def test_a_workspace_shares_a_most_of_artifacts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "NAMES_MAX", 1)
    shelves = given(ARTIFACTS).when(write(content()))
    assert "which is the most" in refusal(shelves.when(write(content("second"))))
    shelves.when(write(content(base_version=1))).then_types(ArtifactRecorded)


@sampled(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), max_size=40))
def test_of_two_writes_on_one_base_exactly_one_wins_and_versions_are_dense(writes: list[tuple[str, int]]) -> None:
    shelves = given(ARTIFACTS)
    won: dict[str, list[int]] = {"a": [], "b": []}
    for number, (name, base) in enumerate(writes):
        shelves.when(write(content(name, base)), record_id=str(number))
        (fact,) = shelves.facts
        if isinstance(fact, ArtifactRecorded):
            won[name].append(fact.artifact.version)
            assert fact.artifact.base_version == base
        else:
            assert isinstance(fact, ArtifactConflicted)
            assert fact.newest == len(won[name]) != base
    assert all(versions == list(range(1, len(versions) + 1)) for versions in won.values())
