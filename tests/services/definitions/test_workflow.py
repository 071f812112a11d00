"""Workflow files: the written forms, the canonical form and what is refused."""

import json

import pytest

from services.definitions.problem import DefinitionInvalid
from services.definitions.workflow import STAGES_MAX, Workflow, read_workflow

SPECIFICATION = """
workflow:
  id: "software_dev_flow"
  name: "软件开发流程"
  stages:
    - {id: "requirement", profession: "product_manager", input: ["user_request"], output: ["prd_document"], next: ["architecture"]}
    - {id: "architecture", profession: "architect", input: ["prd_document"], output: ["tech_design"], next: ["development"]}
    - {id: "development", profession: "developer", input: ["tech_design"], output: ["code_artifacts"], next: ["testing"]}
    - {id: "testing", profession: "qa_engineer", input: ["code_artifacts"], output: ["test_report"], next: []}
"""  # noqa: E501 - as the specification has it

EVERYTHING = """
id: everything
name: 全部
version: "2"
inputs:
  requirement: {type: string, required: true, description: what is wanted}
  files: list
  depth: {type: integer, default: 3}
timeout: 1d
on_conflict: review
tags: {team: red}
stages:
  - id: test
    kind: task
    profession: qa_engineer
    skills: {test_automation: 3}
    input: [requirement, {name: feedback, optional: true}]
    output: [report, {name: log, schema: {type: object}, policy: keep_both}]
    join: {at_least: 2, rest: cancel}
    choose: first
    next:
      - {to: release, when: "result.passed"}
      - {to: test, when: "!result.passed", max_times: 5, max_time: 2h}
      - {to: stop, else: true}
    map: {over: files, as: file, max_parallel: 4, collect: reports}
    timeout: 10m
    queue_timeout: 1h30m
    heartbeat: 30s
    retry: {max_attempts: 5, backoff: 200ms, factor: 2, on: [timeout, worker_lost, error]}
    on_error: {to: stop}
    mutex: repository
    priority: 5
    agent: script
    with: {script: [{result: {passed: true}}]}
    cancel: [choice_a, inner]
    compensate: undo
  - {id: undo, profession: qa_engineer}
  - {id: choice_a, kind: wait, wait: {signal: go}, choice: first_of, next: release}
  - {id: later, kind: wait, wait: {until: "2030-01-31T12:00:00+08:00"}, choice: first_of}
  - {id: inner, kind: subflow, subflow: {file: inner.yaml, inputs: {a: requirement}, outputs: {b: b}}}
  - id: release
    kind: review
    review: {by: ["role:lead", "profession:software_architect"], quorum: 1, on_reject: test, timeout: 24h, on_timeout: {escalate: "role:owner"}}
  - {id: stop, kind: end, end: {status: cancelled}}
"""  # noqa: E501


def read(text: str) -> Workflow:
    return read_workflow(text.encode(), "flow.yaml").workflow


def refusal(text: str) -> list[str]:
    with pytest.raises(DefinitionInvalid) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_file_of_the_specification_is_read_as_written() -> None:
    workflow = read(SPECIFICATION)
    assert workflow.name == "软件开发流程"
    assert [stage.profession for stage in workflow.stages] == [
        "product_manager",
        "architect",
        "developer",
        "qa_engineer",
    ]
    assert [[edge.to for edge in stage.next] for stage in workflow.stages] == [
        ["architecture"],
        ["development"],
        ["testing"],
        [],
    ]
    unwrapped = "\n".join(line[2:] for line in SPECIFICATION.splitlines()[2:])
    assert read(unwrapped).digest() == workflow.digest()


def test_every_option_is_read_with_its_units() -> None:
    workflow = read(EVERYTHING)
    test = workflow.stages[0]
    assert (test.timeout_ms, test.queue_timeout_ms, test.heartbeat_ms) == (600_000, 5_400_000, 30_000)
    assert (test.join.mode, test.join.at_least, test.join.rest) == ("at_least", 2, "cancel")
    assert (test.retry.backoff_ms, test.retry.factor) == (200, 2.0)
    assert test.next[1].max_time_ms == 7_200_000
    assert test.next[2].otherwise
    assert (test.on_error.action, test.on_error.routes[0].to) == ("route", "stop")
    assert test.map is not None
    assert (test.map.over, test.map.item, test.map.collect) == ("files", "file", "reports")
    assert test.input[1].optional
    assert test.output[1].policy == "keep_both"
    assert test.parameters == {"script": [{"result": {"passed": True}}]}
    assert workflow.stages[3].wait is not None
    assert workflow.stages[3].wait.until_ms == 1_896_062_400_000
    assert workflow.stages[2].next[0].to == "release"
    review = workflow.stages[5].review
    assert review is not None
    assert (review.on_timeout.action, review.on_timeout.to) == ("escalate", "role:owner")
    assert (workflow.inputs["depth"].required, workflow.inputs["files"].type) == (False, "list")
    assert (workflow.timeout_ms, workflow.on_conflict, workflow.tags) == (86_400_000, "review", {"team": "red"})


@pytest.mark.parametrize("text", [SPECIFICATION, EVERYTHING])
def test_the_canonical_form_is_read_back_to_the_same_model(text: str) -> None:
    workflow = read(text)
    data = workflow.to_json()
    assert Workflow.from_json(data) == workflow
    assert Workflow.from_json(data).to_json() == data
    value = json.loads(data)
    assert data == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_digest_sees_meaning_and_not_layout() -> None:
    one = "id: x\nstages: [{id: a, profession: p, next: [b]}, {id: b, profession: p}]"
    other = (
        "# c\nstages:\n- profession: p\n  id: a\n  next:\n  - {to: b}\n- {id: b, profession: p, join: active}\nid: x"
    )
    assert read(one).digest() == read(other).digest()
    assert read(one.replace("id: b, profession: p", "id: b, profession: q")).digest() != read(one).digest()


def test_the_digest_of_a_known_workflow_does_not_drift() -> None:
    # Runs keep the canonical form by this digest: a change here is a change of the wire format.
    assert read(SPECIFICATION).digest() == "sha256:0bf66cd6adc78f161df52c9210fae124af9f685f47da64c486229c55fa66bea0"


def test_everything_that_is_wrong_is_said_at_once_with_its_line() -> None:
    found = refusal(
        """id: x
stagess: 1
timeout: 10
stages:
  - id: a
    kind: taks
    nexxt: [b]
    next:
      - {to: b, whn: "true", max_times: 0}
    join: most
    timeout: 5 minutes
    retry: {on: [tiemout], max_attempts: "3"}
    map: {as: f}
    on_error: foo
    review: {by: lead}
  - id: "a b"
    input: 3
"""
    )
    assert found == [
        "flow.yaml:2: stagess: the field `stagess` is not known here; did you mean `stages`?",
        "flow.yaml:3: timeout: a length of time with its unit is expected, found `10`; write it like 200ms, 10m or 2h",
        "flow.yaml:6: stage 'a', kind: `taks` is not known here; did you mean `task`?",
        "flow.yaml:7: stage 'a', nexxt: the field `nexxt` is not known here; did you mean `next`?",
        "flow.yaml:9: stage 'a', next[0].max_times: must be at least 1, found `0`",
        "flow.yaml:9: stage 'a', next[0].whn: the field `whn` is not known here; did you mean `when`?",
        (
            "flow.yaml:10: stage 'a', join.mode: `most` is not known here; "
            "known are `active`, `all`, `any`, `at_least`, `each`"
        ),
        "flow.yaml:11: stage 'a', timeout: `5 minutes` is not a length of time; write it like 200ms, 10m or 2h",
        "flow.yaml:12: stage 'a', retry.max_attempts: a whole number is expected, found `3`",
        "flow.yaml:12: stage 'a', retry.on[0]: `tiemout` is not known here; did you mean `timeout`?",
        "flow.yaml:13: stage 'a', map.over: the field `over` is missing; add `over:`",
        "flow.yaml:14: stage 'a', on_error: `foo` is not known here; write fail, skip or {to: foo}",
        (
            "flow.yaml:15: stage 'a', review.by[0]: `lead` cannot be a name here; "
            "write role:NAME, profession:NAME, person:NAME or instance:NAME"
        ),
        "flow.yaml:16: stage 'a b', id: `a b` cannot be a name here; use letters, digits, `_`, `-` and `.`",
        "flow.yaml:17: stage 'a b', input: a list is expected, found `3`",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- 1", "f a mapping of fields is expected"),
        ("id: x\nstages: []", "a workflow has 1 to 20000 stages, this one has 0"),
        ("id: x\nstages: [{profession: p}]", "stages[0], id: the field `id` is missing"),
        ("id: x\nstages: [{id: a, join: at_least}]", "`at_least` needs a number"),
        ("id: x\nstages: [{id: a, join: {rest: cancel}}]", "a join is one word or"),
        ("id: x\nstages: [{id: a, wait: {until: 2030-01-01T00:00:00}}]", "does not say its offset from UTC"),
        ("id: x\nstages: [{id: a, timeout: 100000d}]", "is longer than ten years"),
        ("id: x\nstages: [{id: a/b}]", "`a/b` cannot be a name here"),
        ("id: x\nstages: [{id: a, input: [../etc/passwd]}]", "cannot be a name here"),
        ("id: x\nworkflow: {}\n", "the field `id` is missing"),
        ("workflow:\n", "a mapping of fields is expected, found nothing"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    assert any(expected.removeprefix("f ") in line for line in refusal(text))


def test_a_workflow_has_a_largest_size() -> None:
    stages = ", ".join(f"{{id: s{i}, profession: p}}" for i in range(STAGES_MAX + 1))
    assert "this one has 20001" in refusal(f"id: x\nstages: [{stages}]")[0]


def test_json_that_is_no_workflow_is_refused() -> None:
    with pytest.raises(DefinitionInvalid, match="the field `stages` is missing"):
        Workflow.from_json(b'{"id": "x"}')
    with pytest.raises(DefinitionInvalid):
        Workflow.from_json(b"{")
