"""Whatever an id names is explained: by all that led to it, or by all that it led to."""

from typing import Any

import pytest

from bus.record import Envelope
from services.audit.explanation import explain
from services.audit.trace import Node, NothingToTrace
from services.records.content import Read
from services.records.data import ArtifactRecorded
from services.records.task import (
    AttemptFailed,
    RunEnded,
    RunRequested,
    RunStarted,
    StageCompleted,
    TaskAssigned,
    TaskCompleted,
    TaskRequested,
    run_id_of,
)
from tests.services.audit.story import Story, artifact, work
from tests.services.audit.test_trace import RUN, assignment, ready, shape, task, whole_run

OTHER = run_id_of("ask-2")


def two_runs() -> Story:
    """One run makes a thing in two stages, a second attempt after a deadline; another run uses the same instance."""
    story = Story()
    up = story.tell(ready())
    for ask_id, run in (("ask-1", RUN), ("ask-2", OTHER)):
        ask = story.tell(RunRequested(workspace_id="w", workflow_id="flow", definition="d"), record_id=ask_id)
        story.tell(RunStarted(workspace_id="w", run_id=run, ask_id=ask_id, workflow_id="flow", definition="d"), ask)
        asked = story.tell(task(run), ask)
        story.tell(assignment(run), asked)
    failed = AttemptFailed(
        workspace_id="w", run_id=RUN, stage="make", execution=1, task_id="t", attempt_id=f"{RUN}.a1", code="error",
        reason="it broke", retry_at_ms=1,
    )  # fmt: skip
    story.tell(failed, story.envelopes[4])
    again = story.tell(task(RUN, 2), "deadline:retry|x")
    assigned = story.tell(assignment(RUN, 2), again)
    done = story.tell(_done(), assigned)
    thing = artifact("thing")
    story.tell(StageCompleted(workspace_id="w", run_id=RUN, stage="make", execution=1, outputs=(thing,)), done)
    reader = work(RUN, "use").model_copy(update={"inputs": (thing,)})
    used = story.tell(TaskRequested(workspace_id="w", task_id="u", attempt=1, attempt_id="u1", work=reader), done)
    story.tell(RunEnded(workspace_id="w", run_id=RUN, status="completed"), used)
    assert up.at is not None
    return story


def _done() -> TaskCompleted:
    return TaskCompleted(
        workspace_id="w", run_id=RUN, stage="make", task_id="t", attempt_id=f"{RUN}.a2", instance_id="i1",
        node_id="n", node_session="s", incarnation=1,
    )  # fmt: skip


def place(story: Story, kind: type) -> str:
    """Where the last record of a type stands."""
    return str([envelope.at for envelope in story.envelopes if isinstance(envelope.record, kind)][-1])


def chain(root: Node) -> list[str]:
    """The types from the root down, where nothing branches."""
    names = [type(root.envelope.record).__name__]
    while root.children:
        (root,) = root.children
        names.append(type(root.envelope.record).__name__)
    return names


def test_a_place_in_the_log_is_explained_by_its_causes_also_over_a_deadline() -> None:
    story = two_runs()
    assert chain(explain(place(story, RunEnded), story.envelopes)) == [
        "RunRequested", "TaskRequested", "TaskAssigned", "AttemptFailed", "TaskRequested", "TaskAssigned",
        "TaskCompleted", "TaskRequested", "RunEnded",
    ]  # fmt: skip


def test_a_record_is_explained_by_its_id_too_and_a_post_by_the_fact_behind_it() -> None:
    story = whole_run()
    by_place = explain(place(story, TaskCompleted), story.envelopes)
    by_id = explain(f"id-{place(story, TaskCompleted)}", story.envelopes)
    assert shape(by_id) == shape(by_place)
    assert "CapacityGranted" in str(shape(by_place))
    (post, *_) = [envelope for envelope in story.envelopes if envelope.origin.kind == "post"]
    (fact,) = [envelope for envelope in story.envelopes if str(envelope.at) == post.origin.cause]
    assert last(explain(str(post.at), story.envelopes)) == fact


def last(root: Node) -> Envelope:
    return list(root.walk())[-1].envelope


def test_the_other_direction_is_what_a_record_led_to() -> None:
    story = whole_run()
    assert shape(explain(place(story, TaskCompleted), story.envelopes, effects=True)) == [
        "TaskCompleted", ["StageCompleted"], ["RunEnded"], ["TasksSettled"]
    ]  # fmt: skip
    everything = explain(RUN, story.envelopes, effects=True)
    assert type(everything.envelope.record) is RunRequested
    assert sum(isinstance(node.envelope.record, TaskAssigned) for node in everything.walk()) == 2  # both runs


def test_a_task_is_explained_by_its_attempts_and_what_led_to_them() -> None:
    story = two_runs()
    found = explain("u", story.envelopes)
    assert chain(found)[0] == "RunRequested"
    assert chain(found)[-1] == "TaskRequested"
    attempt = explain(f"{RUN}.a2", story.envelopes)
    assert type(last(attempt).record) is TaskCompleted
    assert OTHER not in str([node.envelope.record for node in attempt.walk()])


def test_an_instance_is_shown_with_its_own_records_and_only_their_causes() -> None:
    story = two_runs()
    kinds = [type(node.envelope.record).__name__ for node in explain("i1", story.envelopes).walk()]
    assert kinds.count("TaskAssigned") == 3
    assert kinds.count("TaskRequested") == 3
    assert "RunRequested" not in kinds


def test_an_artifact_is_explained_by_who_wrote_it_and_found_by_name_version_and_digest() -> None:
    story = two_runs()
    digest = artifact("thing").digest
    trees: list[Any] = [shape(explain(f"{RUN}/thing", story.envelopes))]
    trees += [shape(explain(name, story.envelopes)) for name in (f"{RUN}/thing@1", f"{RUN}/thing@v1", digest)]
    assert all(tree == trees[0] for tree in trees)
    assert "StageCompleted" in str(trees[0])
    assert chain(explain(f"{RUN}/thing@1", story.envelopes, effects=True)) == [
        "StageCompleted", "TaskRequested", "RunEnded"
    ]  # fmt: skip
    with pytest.raises(NothingToTrace):
        explain(f"{RUN}/thing@2", story.envelopes)
    with pytest.raises(NothingToTrace):
        explain(f"{OTHER}/thing", story.envelopes)


def test_a_shared_artifact_is_found_by_its_name_in_the_workspace() -> None:
    story = Story()
    story.tell(ArtifactRecorded(workspace_id="w", ask_id="a", artifact=artifact("rules", 2)))
    completed = StageCompleted(
        workspace_id="w", run_id=RUN, stage="s", execution=1,
        reads=(Read(name="workspace:rules", version=2, digest=artifact("rules").digest),),
    )  # fmt: skip
    story.tell(completed)
    found = explain("workspace:rules", story.envelopes)
    assert {type(node.envelope.record) for node in found.walk()} == {ArtifactRecorded, StageCompleted}
    assert [type(node.envelope.record) for node in explain("workspace:rules@2", story.envelopes).walk()]
    with pytest.raises(NothingToTrace):
        explain("workspace:rules@3", story.envelopes)


@pytest.mark.parametrize("text", ["nothing", "task/0/999", "sha256:" + "0" * 64, "make", "completed", "w", ""])
def test_what_names_nothing_is_told_with_what_would(text: str) -> None:
    with pytest.raises(NothingToTrace, match="right would be the id of a run"):
        explain(text, two_runs().envelopes)


def test_clocks_that_disagree_never_lose_a_record() -> None:
    story = two_runs()
    skewed = [
        envelope._replace(time_ms=envelope.time_ms - (7 * number % 5) * 10)
        for number, envelope in enumerate(story.envelopes)
    ]
    for text in ("t", RUN, f"{RUN}/thing"):
        straight = {str(node.at) for node in explain(text, story.envelopes).walk()}
        assert {str(node.at) for node in explain(text, skewed).walk()} == straight
