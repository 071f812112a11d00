"""Progress is what the records of one run say, and ends in the object that `run --json` prints."""

import hashlib

import pytest

from services.audit.artifacts import list_artifacts
from services.audit.progress import Key, Progress, summarise
from services.records.content import Read
from services.records.task import (
    AttemptFailed,
    RunEnded,
    RunRefused,
    RunStarted,
    StageCompleted,
    StageEnded,
    StageStarted,
    TaskAssigned,
    TaskQueued,
    TaskRequested,
)
from services.records.telemetry import WorkerOutput
from tests.services.audit.story import Story, artifact, work

RUN = "run-1"
X = hashlib.sha256(b"x").hexdigest()


def started(story: Story, run_id: str = RUN) -> None:
    story.tell(RunStarted(workspace_id="w", run_id=run_id, ask_id="ask", workflow_id="flow", definition="d"))


def requested(story: Story, stage: str, attempt: int = 1, *, item: int = -1, run_id: str = RUN) -> None:
    attempt_id = f"{stage}.{item}.{attempt}"
    record = TaskRequested(
        workspace_id="w",
        task_id=stage,
        attempt=attempt,
        attempt_id=attempt_id,
        work=work(run_id, stage, item=item),
    )
    story.tell(record)


def assigned(story: Story, stage: str, attempt: int = 1) -> None:
    record = TaskAssigned(
        workspace_id="w",
        task_id=stage,
        attempt_id=f"{stage}.-1.{attempt}",
        instance_id="i1",
        node_id="n",
        node_session="s",
        incarnation=1,
        deadline_ms=0,
        work=work(RUN, stage),
    )
    story.tell(record)


def completed(stage: str, **more: object) -> StageCompleted:
    fields = {"workspace_id": "w", "run_id": RUN, "stage": stage, "execution": 1, "instance_id": "i1", **more}
    return StageCompleted.model_validate(fields)


def fold(story: Story, run_id: str = RUN) -> Progress:
    progress = Progress(run_id)
    for envelope in story.envelopes:
        progress.apply(envelope)
    return progress


def test_a_stage_is_requested_queued_assigned_and_completed() -> None:
    story = Story()
    progress = Progress(RUN)
    started(story)
    requested(story, "make")
    queue = TaskQueued(
        workspace_id="w", task_id="make", attempt_id="make.-1.1", work=work(RUN, "make"), reason="nobody is free"
    )
    story.tell(queue)
    assigned(story, "make")
    story.tell(completed("make", started_at_ms=story.now_ms))
    moves = [changed for envelope in story.envelopes if (changed := progress.apply(envelope))]
    assert [(each.status, each.reason) for each in moves] == [
        ("requested", ""),
        ("queued", "nobody is free"),
        ("assigned", ""),
        ("completed", ""),
    ]
    assert progress.executions[Key("make", 1)].instance_id == "i1"


def test_other_runs_are_not_looked_at() -> None:
    story = Story()
    started(story, "other")
    requested(story, "make", run_id="other")
    progress = fold(story)
    assert progress.status == "requested"
    assert not progress.executions


def test_a_retried_attempt_shows_the_newest_one_and_why() -> None:
    story = Story()
    started(story)
    requested(story, "make")
    assigned(story, "make")
    failed = AttemptFailed(
        workspace_id="w",
        run_id=RUN,
        stage="make",
        execution=1,
        task_id="make",
        attempt_id="make.-1.1",
        code="error",
        reason="it broke",
        retry_at_ms=story.now_ms + 5,
    )
    story.tell(failed)
    assert fold(story).executions[Key("make", 1)].reason == "it broke"
    assert fold(story).executions[Key("make", 1)].status == "retrying"
    requested(story, "make", 2)
    assert fold(story).executions[Key("make", 1)].attempts == 2


def test_the_last_line_of_a_worker_is_shown_while_it_works() -> None:
    story = Story()
    started(story)
    requested(story, "make")
    output = WorkerOutput(workspace_id="w", instance_id="i1", run_id=RUN, attempt_id="make.-1.1", line="half way \n")
    story.tell(output)
    assert fold(story).executions[Key("make", 1)].line == "half way"
    story.tell(completed("make"))
    story.tell(output)
    assert fold(story).executions[Key("make", 1)].line == ""


def test_the_summary_has_the_stable_shape_in_the_order_of_the_ends() -> None:
    story = Story()
    started(story)
    for stage in ("a", "b", "c"):
        requested(story, stage)
    begun = story.now_ms
    b = story.tell(completed("b", started_at_ms=begun, attempts=2, outputs=(artifact("out"),))).time_ms
    skip = StageEnded(workspace_id="w", run_id=RUN, stage="d", execution=1, status="skipped")
    d = story.tell(skip).time_ms
    a = story.tell(completed("a", started_at_ms=begun, outputs=(artifact("out", 2, b"y"), artifact("two")))).time_ms
    cut = StageEnded(
        workspace_id="w", run_id=RUN, stage="c", execution=1, status="cancelled", attempts=1, started_at_ms=begun
    )
    c = story.tell(cut).time_ms
    story.tell(RunEnded(workspace_id="w", run_id=RUN, status="failed"))
    y = hashlib.sha256(b"y").hexdigest()

    def stage(name: str, status: str, attempts: int, who: str | None, begun: int | None, ended: int) -> object:
        return {
            "id": name,
            "execution": 1,
            "status": status,
            "attempts": attempts,
            "instance_id": who,
            "started_at": begun,
            "ended_at": ended,
        }

    assert summarise(fold(story), {"out": "/o", "two": "/t"}) == {
        "run_id": RUN,
        "status": "failed",
        "outputs": {
            "out": {"version": 2, "sha256": y, "path": "/o"},
            "two": {"version": 1, "sha256": X, "path": "/t"},
        },
        "stages": [
            stage("b", "completed", 2, "i1", begun, b),
            stage("d", "skipped", 0, None, None, d),
            stage("a", "completed", 1, "i1", begun, a),
            stage("c", "cancelled", 1, None, begun, c),
        ],
    }


def test_items_of_a_map_are_listed_as_such() -> None:
    story = Story()
    started(story)
    story.tell(StageStarted(workspace_id="w", run_id=RUN, stage="each", execution=1))
    for item in (1, 0):
        requested(story, "each", item=item)
        story.tell(completed("each", item=item))
    story.tell(completed("each"))
    stages = summarise(fold(story), {})["stages"]
    assert isinstance(stages, list)
    assert [each.get("item") for each in stages] == [1, 0, None]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_the_end_of_a_run_is_its_status_and_reason(status: str) -> None:
    story = Story()
    started(story)
    story.tell(RunEnded(workspace_id="w", run_id=RUN, status=status, reason="so it was"))
    progress = fold(story)
    assert (progress.status, progress.reason, progress.has_ended) == (status, "so it was", True)


def test_a_refused_run_has_ended_with_the_reason() -> None:
    story = Story()
    story.tell(RunRefused(workspace_id="w", run_id=RUN, ask_id="ask", reason="no such input"))
    progress = fold(story)
    assert (progress.status, progress.reason, progress.has_ended) == ("refused", "no such input", True)


def test_artifacts_are_listed_version_by_version_with_what_was_read() -> None:
    story = Story()
    started(story)
    story.tell(completed("a", outputs=(artifact("out"),)))
    read = Read(name="out", version=1, digest=artifact("out").digest)
    second = artifact("out", 2).model_copy(update={"base_version": 1})
    story.tell(completed("b", execution=2, outputs=(second,), reads=(read,)))
    story.tell(completed("a", run_id="other", outputs=(artifact("other"),)))
    line = {"name": "out", "version": 1, "sha256": X, "stage": "a", "execution": 1, "base_version": 0, "reads": []}
    assert list(list_artifacts(RUN, story.envelopes)) == [
        line,
        {
            **line,
            "version": 2,
            "stage": "b",
            "execution": 2,
            "base_version": 1,
            "reads": [{"name": "out", "version": 1, "sha256": X}],
        },
    ]
