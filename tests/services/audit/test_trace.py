"""The tree of a run holds everything that the run led to, each record once, under its cause."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from services.audit.trace import Node, NothingToTrace, build_trace, to_json
from services.records.content import Resources
from services.records.event import CapacityGranted, CapacityRequested, InstanceAccepted, InstanceReady
from services.records.task import (
    InstanceNeeded,
    Reason,
    RunCancelRequested,
    RunEnded,
    RunRequested,
    RunStarted,
    StageCompleted,
    TaskAssigned,
    TaskCompleted,
    TaskLost,
    TaskQueued,
    TaskRequested,
    TasksSettled,
    run_id_of,
)
from tests.services.audit.story import Story, work

RUN = run_id_of("ask-1")


def task(run_id: str, attempt: int = 1) -> TaskRequested:
    attempt_id = f"{run_id}.a{attempt}"
    return TaskRequested(
        workspace_id="w", task_id="t", attempt=attempt, attempt_id=attempt_id, work=work(run_id, "make")
    )


def assignment(run_id: str, attempt: int = 1) -> TaskAssigned:
    return TaskAssigned(
        workspace_id="w",
        task_id="t",
        attempt_id=f"{run_id}.a{attempt}",
        instance_id="i1",
        node_id="n",
        node_session="s",
        incarnation=1,
        deadline_ms=0,
        work=work(run_id, "make"),
        reasons=(Reason(part="skill", score=2, note="testing 3"),),
    )


def ready() -> InstanceReady:
    return InstanceReady(
        workspace_id="w",
        instance_id="i1",
        profession="tester",
        name="i",
        agent="script",
        node_id="n",
        node_session="s",
        incarnation=1,
        slots=1,
    )


def accepted() -> InstanceAccepted:
    return InstanceAccepted(
        workspace_id="w",
        instance_id="i1",
        ask_id="",
        profession="tester",
        name="i",
        agent="script",
        driver="process",
        pool="default",
        resources=Resources(),
    )


def whole_run() -> Story:
    """A run whose one task waits for an instance that is made for it; another run waits for the same."""
    story, other = Story(), "run-other"
    ask = story.tell(RunRequested(workspace_id="w", workflow_id="flow", definition="d"), record_id="ask-1")
    run = RunStarted(workspace_id="w", run_id=RUN, ask_id="ask-1", workflow_id="flow", definition="d")
    story.tell(run, ask, role="orchestrator.runs")
    asked = story.tell(task(RUN), ask, role="orchestrator.runs")
    queued = TaskQueued(
        workspace_id="w", task_id="t", attempt_id=f"{RUN}.a1", work=work(RUN, "make"), reason="nobody there"
    )
    story.tell(queued, asked, role="router.roster")
    need = story.tell(InstanceNeeded(workspace_id="w", need_id="need", profession="tester"), asked)
    capacity = {"workspace_id": "w", "instance_id": "i1", "grant_id": "g", "pool": "default", "resources": Resources()}
    story.tell(accepted(), need)
    wish = story.tell(CapacityRequested.model_validate(capacity), need)
    granted = CapacityGranted.model_validate({**capacity, "node_id": "n", "node_session": "s"})
    grant = story.tell(granted, story.post(wish))
    up = story.tell(ready(), story.post(grant))
    story.tell(assignment(RUN), up, role="router.roster")
    story.tell(assignment(other), up, role="router.roster")
    done = story.tell(_completed(RUN), story.envelopes[-2])
    story.tell(StageCompleted(workspace_id="w", run_id=RUN, stage="make", execution=1), done)
    story.tell(RunEnded(workspace_id="w", run_id=RUN, status="completed"), done)
    story.tell(TasksSettled(workspace_id="w", attempts=(f"{RUN}.a1",)), done)
    return story


def _completed(run_id: str) -> TaskCompleted:
    return TaskCompleted(
        workspace_id="w",
        run_id=run_id,
        stage="make",
        task_id="t",
        attempt_id=f"{run_id}.a1",
        instance_id="i1",
        node_id="n",
        node_session="s",
        incarnation=1,
    )


def shape(node: Node) -> Any:
    """Types alone, nested."""
    return [type(node.envelope.record).__name__, *(shape(child) for child in node.children)]


def test_a_run_is_traced_over_channels_and_posts_to_its_end() -> None:
    assert shape(build_trace(RUN, whole_run().envelopes)) == [
        "RunRequested",
        ["RunStarted"],
        [
            "TaskRequested",
            ["TaskQueued"],
            [
                "InstanceNeeded",
                ["InstanceAccepted"],
                [
                    "CapacityRequested",
                    [
                        "CapacityGranted",
                        [
                            "InstanceReady",
                            ["TaskAssigned", ["TaskCompleted", ["StageCompleted"], ["RunEnded"], ["TasksSettled"]]],
                        ],
                    ],
                ],
            ],
        ],
    ]


def test_the_tree_depends_on_causes_and_not_on_how_channels_interleave() -> None:
    envelopes = whole_run().envelopes
    expected = shape(build_trace(RUN, envelopes))
    for seed in range(20):
        queues = {c: [e for e in envelopes if e.at and e.at.channel == c] for c in ("task", "event")}
        shuffled, chance = [], random.Random(seed)
        while any(queues.values()):
            shuffled.append(queues[chance.choice([c for c, queue in queues.items() if queue])].pop(0))
        assert shape(build_trace(RUN, shuffled)) == expected


def test_what_has_no_cause_in_the_run_hangs_under_what_it_is_about() -> None:
    story = Story()
    ask = story.tell(RunRequested(workspace_id="w", workflow_id="flow", definition="d"), record_id="ask-1")
    story.tell(task(RUN), ask)
    up = story.tell(ready())  # an instance that somebody made long ago
    story.tell(assignment(RUN), up)
    lost = TaskLost(workspace_id="w", run_id=RUN, task_id="t", attempt_id=f"{RUN}.a1", code="timeout", reason="late")
    gone = story.tell(lost, "deadline:attempt")
    story.tell(task(RUN, 2), gone)
    story.tell(assignment(RUN, 2))
    cancel = story.tell(RunCancelRequested(workspace_id="w", run_id=RUN))
    story.tell(RunEnded(workspace_id="w", run_id=RUN, status="cancelled"), cancel)
    assert shape(build_trace(RUN, story.envelopes)) == [
        "RunRequested",
        ["TaskRequested", ["TaskAssigned", ["TaskLost", ["TaskRequested", ["TaskAssigned"]]]]],
        ["RunCancelRequested", ["RunEnded"]],
    ]


def test_each_node_says_what_stands_on_the_log() -> None:
    story = whole_run()
    tree = json.loads(to_json(build_trace(RUN, story.envelopes)))
    assert set(tree) == {
        "id", "type", "role", "time_ms", "channel", "partition", "offset", "cause", "actor", "summary", "children"
    }  # fmt: skip
    nodes = list(_walk(tree))
    assert {(n["channel"], n["partition"], n["offset"]) for n in nodes} == {
        tuple(e.at) for e in story.envelopes if e.at and e.origin.kind != "post" and "run-other" not in str(e.record)
    }
    (assigned,) = (n for n in nodes if n["type"] == "TaskAssigned")
    assert assigned["role"] == "router.roster"
    assert assigned["summary"] == "make to i1 on n: skill 2 (testing 3)"
    assert tree["id"] == "ask-1"
    assert tree["cause"] == ""


def _walk(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield tree
    for child in tree["children"]:
        yield from _walk(child)


def test_a_run_of_thousands_of_steps_is_one_deep_tree() -> None:
    story = Story()
    cause = story.tell(RunRequested(workspace_id="w", workflow_id="flow", definition="d"), record_id="ask-1")
    for attempt in range(5_000):
        cause = story.tell(task(RUN, attempt), cause)
    root = build_trace(RUN, story.envelopes)
    assert sum(1 for _ in root.walk()) == 5_001
    assert to_json(root).count('"children"') == 5_001


def test_a_run_that_nobody_names_is_told() -> None:
    with pytest.raises(NothingToTrace, match="no record names a run run-nowhere"):
        build_trace("run-nowhere", whole_run().envelopes)
