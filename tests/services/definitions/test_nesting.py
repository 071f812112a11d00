"""Workflows inside workflows: what may stand where, and how their stages are called."""

import pytest

from services.definitions.nesting import NestingInvalid, levels_of, seal
from services.definitions.problem import Problem
from services.definitions.validation import validate
from services.definitions.workflow import Workflow, WorkflowFile, read_workflow

INNER = """
  inner:
    inputs: {x: string, y: {required: false}}
    stages:
      - {id: a, profession: p, input: [x], output: [z], next: [{to: b, when: "result.ok"}, {to: a, else: true, max_times: 2}]}
      - {id: b, profession: p, input: [z], output: [w]}
"""  # noqa: E501


def source(stages: str, subflows: str = INNER) -> WorkflowFile:
    lines = "".join(f"  - {{{line.strip()}}}\n" for line in stages.strip().splitlines())
    return read_workflow(f"id: outer\nstages:\n{lines}subflows:{subflows}".encode(), "flow.yaml")


def problems(stages: str, subflows: str = INNER) -> list[Problem]:
    return list(validate(source(stages, subflows)))


def only(stages: str, subflows: str = INNER) -> str:
    (problem,) = problems(stages, subflows)
    return str(problem)


RIGHT = "id: s, kind: subflow, subflow: {id: inner, inputs: {x: topic}, outputs: {out: w}}"


def test_a_subflow_with_what_it_needs_is_right() -> None:
    assert problems(RIGHT) == []
    assert problems("id: s, kind: subflow, input: [x], output: [w], subflow: {id: inner}") == []


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("id: s, kind: subflow, subflow: {id: iner}", "there is no subflow `iner`; known are `inner`"),
        ("id: s, kind: subflow, subflow: {id: inner}", "the input `x` of its workflow is missing"),
        (RIGHT.replace("x: topic", "x: topic, q: topic"), "its workflow has no input `q`; it has `x`, `y`"),
        (RIGHT.replace("out: w", "out: v"), "no stage of its workflow writes `v`"),
        (f"{RIGHT}, retry: {{max_attempts: 2}}", "a subflow is not tried again as a whole"),
    ],
)
def test_what_does_not_fit_is_said_where_it_stands(stage: str, said: str) -> None:
    found = only(stage)
    assert said in found
    assert found.startswith("flow.yaml:3: stage 's'")


def test_a_problem_inside_names_its_subflow_and_line() -> None:
    found = only(RIGHT, INNER.replace("next: [{to: b,", "next: [{to: c,"))
    assert found.startswith("flow.yaml:8: subflow 'inner', stage 'a', next[0].to: there is no stage `c`")


def test_compensation_inside_is_refused() -> None:
    inner = "\n  inner: {stages: [{id: a, profession: p, compensate: u}, {id: u, profession: p}]}\n"
    assert "counts for the outermost workflow alone" in only("id: s, kind: subflow, subflow: {id: inner}", inner)


def test_a_map_inside_a_mapped_subflow_is_refused() -> None:
    inner = "\n  inner: {stages: [{id: m, profession: p, map: {over: files, as: f}}]}\n"
    stages = "id: s, kind: subflow, subflow: {id: inner, inputs: {files: item}}, map: {over: many}"
    assert "each item of the map would go through the map `m`" in only(stages, inner)


def test_a_subflow_that_contains_itself_is_refused() -> None:
    inner = "\n  inner: {stages: [{id: again, kind: subflow, subflow: {id: inner}}]}\n"
    assert "runs a subflow that contains itself" in only("id: s, kind: subflow, subflow: {id: inner}", inner)


def test_too_many_levels_are_refused() -> None:
    inner = "".join(f"\n  l{n}: {{stages: [{{id: s, kind: subflow, subflow: {{id: l{n + 1}}}}}]}}" for n in range(9))
    deepest = "\n  l9: {stages: [{id: a, profession: p}]}\n"
    assert "more than 8 levels deep" in only("id: s, kind: subflow, subflow: {id: l0}", inner + deepest)


def test_doubling_at_each_level_is_refused_by_the_number_of_stages() -> None:
    two = ", ".join(f"{{id: s{n}, kind: subflow, subflow: {{id: KEY}}}}" for n in range(8))
    inner = "".join(f"\n  l{n}: {{stages: [{two.replace('KEY', f'l{n + 1}')}]}}" for n in range(5))
    deepest = "\n  l5: {stages: [{id: a, profession: p}]}\n"
    assert "more than 20000 stages" in only("id: s, kind: subflow, subflow: {id: l0}", inner + deepest)


def test_stages_are_called_by_their_path() -> None:
    inner = f"{INNER}  middle: {{stages: [{{id: deep, kind: subflow, subflow: {{id: inner, inputs: {{x: t}}}}}}]}}\n"
    levels = levels_of(source("id: m, kind: subflow, subflow: {id: middle, inputs: {t: t}}", inner).workflow)
    assert sorted(levels) == ["", "m", "m/deep"]
    a = levels["m/deep"].stages[0]
    assert (a.id, [edge.to for edge in a.next]) == ("m/deep/a", ["m/deep/b", "m/deep/a"])


def test_whatever_names_a_stage_is_called_by_its_path() -> None:
    inner = """
  inner:
    stages:
      - {id: a, profession: p, on_error: {to: b}, cancel: [w], next: [r]}
      - {id: b, profession: p}
      - {id: w, kind: wait, wait: {stage: a}}
      - {id: r, kind: review, review: {by: ["role:x"], on_reject: a}}
"""
    a, _, w, r = levels_of(source("id: s, kind: subflow, subflow: {id: inner}", inner).workflow)["s"].stages
    assert (a.on_error.routes[0].to, a.cancel, a.next[0].to) == ("s/b", ("s/w",), "s/r")
    assert w.wait is not None
    assert r.review is not None
    assert (w.wait.stage, r.review.on_reject) == ("s/a", "s/a")


def test_a_file_that_was_not_read_cannot_be_run() -> None:
    workflow = source("id: s, kind: subflow, subflow: {file: x.yaml}").workflow
    with pytest.raises(NestingInvalid, match=r"runs x.yaml, which `subflows` does not have"):
        levels_of(workflow)


def test_sealing_names_subflows_by_digest_and_keeps_what_they_are() -> None:
    workflow = source(RIGHT).workflow
    sealed = seal(workflow)
    assert [name[:7] for name in sealed.subflows] == ["sha256:"]
    assert Workflow.from_json(sealed.to_json()) == seal(sealed) == sealed
    assert [level.stages for level in levels_of(sealed).values()][1:] == [
        level.stages for level in levels_of(workflow).values()
    ][1:]


def test_subflows_of_subflows_are_refused() -> None:
    inner = "\n  inner: {stages: [{id: a, profession: p}], subflows: {x: {id: x, stages: [{id: b, profession: p}]}}}\n"
    with pytest.raises(ValueError, match="the outermost workflow has them all"):
        source("id: a, profession: p", inner)
