"""Validation says where, why and what would be right, and leaves what is right alone."""

import re

import pytest

from services.definitions.problem import DefinitionInvalid, Problem
from services.definitions.validation import require_valid, validate, without_lines
from services.definitions.workflow import read_workflow
from tests.services.definitions.test_workflow import SPECIFICATION

PROFESSIONS = {
    "p": {"python": 3, "testing": 2},
    "product_manager": {},
    "architect": {},
    "developer": {},
    "qa_engineer": {},
}


def problems(text: str) -> list[Problem]:
    return list(validate(read_workflow(text.encode(), "flow.yaml"), PROFESSIONS))


def flow(stages: str, head: str = "") -> str:
    """A workflow of one stage a line; `P` stands for the profession that all have."""
    lines = [re.sub(r"(?<=, )P\b", "profession: p", line.strip()) for line in stages.strip().splitlines()]
    return f"id: x\n{head}stages:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def said(stages: str, head: str = "") -> list[str]:
    return [f"{p.severity} {p}" for p in problems(flow(stages, head))]


def only(stages: str, head: str = "") -> str:
    found = said(stages, head)
    assert len(found) == 1, found
    return found[0]


def test_the_file_of_the_specification_is_right() -> None:
    assert problems(SPECIFICATION) == []


def test_loops_joins_waits_and_reviews_used_as_meant_are_right() -> None:
    stages = """
    id: develop, P, input: [task, {name: feedback, optional: true}], output: [source], next: [test, docs]
    id: test, P, input: [source], next: [{to: check, when: result.passed}, {to: develop, else: true, max_times: 5}]
    id: docs, P, input: [source], output: [text], next: [check]
    id: check, kind: review, review: {by: ["role:lead", "profession:p"], quorum: 2, on_reject: develop}, next: [go, later]
    id: go, kind: wait, wait: {signal: go}, choice: first, next: [ship]
    id: later, kind: wait, wait: {for: 2h}, choice: first, next: [ship]
    id: ship, P, input: [source, text], join: any, compensate: undo, next: [{to: done, when: "has(result.url)"}, {to: done, else: true}]
    id: done, kind: end
    id: undo, P, input: [source]
    """  # noqa: E501
    assert said(stages) == []


@pytest.mark.parametrize(
    "stages",
    [
        "id: a, P, next: []\n id: b, P, next: []",  # no edge anywhere: all run side by side
        "id: a, P, next: [c]\n id: b, P, next: [c]\n id: c, P, join: all",  # two starts
        # Two loops side by side, each a way into the join.
        """id: a, P, next: [b]
        id: b, P, next: [{to: a, max_times: 2}, e]
        id: c, P, next: [d]
        id: d, P, next: [{to: c, max_times: 2}, e]
        id: e, P, join: active""",
        "id: a, P, next: [b]\n id: b, P\n id: c, kind: wait, wait: {stage: b}, next: [d]\n id: d, P",  # a milestone
    ],
)
def test_what_may_begin_by_itself_is_not_called_unreachable(stages: str) -> None:
    assert said(stages) == []


def test_a_taken_id_names_the_line_of_the_first() -> None:
    expected = (
        "error flow.yaml:4: stage 'a', id: the id `a` is taken by the stage in line 3; give each stage an id of its own"
    )
    assert only("id: a, P\n id: a, P") == expected


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("next: [bb]", "next[0].to"),
        ("on_error: {to: bb}", "on_error[0].to"),
        ("cancel: [bb]", "cancel[0]"),
        ("compensate: bb", "compensate"),
    ],
)
def test_a_stage_that_is_not_there_is_named_with_the_nearest(line: str, place: str) -> None:
    found = said(f"id: a, P, {line}\n id: b2b, P, next: []")
    assert f"error flow.yaml:3: stage 'a', {place}: there is no stage `bb`; did you mean `b2b`?" in found


def test_professions_and_skills_are_looked_up() -> None:
    assert "the profession `q` is not known" in only("id: a, profession: q")
    assert "the profession `architec` is not known; did you mean `architect`?" in only("id: a, profession: architec")
    assert "has no skill `pythn`; did you mean `python`?" in only("id: a, P, skills: {pythn: 1}")
    assert "warning" in only("id: a, P, skills: {python: 9}")
    assert "review.by[1]: the profession `q` is not known" in only(
        'id: a, kind: review, review: {by: ["role:x", "profession:q"]}'
    )
    assert said("id: a, P, skills: {python: 3}") == []


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("resul.ok", "there is no variable `resul`; did you mean `result`?"),
        ("inputs.sourc == 'x'", "there is no `inputs.sourc`; did you mean `source`?"),
        ("artifacts.reprot.version > 1", "there is no `artifacts.reprot`; did you mean `report`?"),
        ("siz(result) > 1", "there is no function `siz`; did you mean `size`?"),
        ("result.ok &&", "Syntax error"),
    ],
)
def test_conditions_use_what_there_is(when: str, expected: str) -> None:
    stages = f'id: a, P, input: [source], output: [report], next: [{{to: b, when: "{when}"}}]\n id: b, P'
    assert expected in only(stages)
    assert "flow.yaml:3: stage 'a', next[0].when" in only(stages)


def test_a_review_gives_known_fields() -> None:
    stages = 'id: a, kind: review, review: {by: "role:x"}, next: [{to: b, when: result.aproved}]\n id: b, P,'
    assert "there is no `result.aproved`; did you mean `approved`?" in only(stages)


def test_a_loop_without_a_limit_is_shown_as_the_way_round() -> None:
    found = only("id: a, P, next: [b]\n id: b, P, next: [c, d]\n id: c, P, next: [a]\n id: d, P")
    assert "flow.yaml:5: stage 'c', next[0]: this is a loop without a limit: a -> b -> c -> a" in found
    assert "write {to: a, max_times: 3}" in found
    assert "a -> a" in only("id: a, P, next: [a]")


def test_stages_that_never_begin_are_named() -> None:
    found = said("id: a, P, next: []\n id: b, P, next: [c]\n id: c, P, next: [{to: b, max_times: 2}]")
    assert [line.partition("; ")[0] for line in found] == [
        "error flow.yaml:4: stage 'b': the stage is unreachable: no way leads to it from a start",
        "error flow.yaml:5: stage 'c': the stage is unreachable: no way leads to it from a start",
    ]
    found = said("id: a, P, choose: first, next: [b, c]\n id: b, P, next: []\n id: c, P, next: []")
    assert "warning flow.yaml:3: stage 'a', next[1]: the edge is never taken" in found[0]
    assert "stage 'c': the stage is unreachable" in found[1]


def test_a_stage_that_nothing_links_with_the_rest_is_warned_of() -> None:
    found = only("id: a, P, next: [b]\n id: b, P\n id: c, P")
    assert found.startswith("warning flow.yaml:5: stage 'c': nothing leads to the stage")


def test_a_wait_for_what_comes_only_after_it_is_found() -> None:
    stages = "id: a, P, next: [w]\n id: w, kind: wait, wait: {stage: b}, next: [b]\n id: b, P"
    assert "it waits for `b`, which can only begin after it" in only(stages)


@pytest.mark.parametrize(
    ("stages", "waits", "most"),
    [
        # Of the branches of an exclusive choice only one comes.
        (
            """id: a, P, choose: first, next: [{to: b, when: result.x}, {to: c, else: true}]
            id: b, P, next: [d]
            id: c, P, next: [d]
            id: d, P, join: all""",
            2,
            1,
        ),
        # Also further down, beside a branch that is free.
        (
            """id: s, P, next: [a, f]
            id: a, P, next: [{to: b, when: result.x}, {to: c, when: result.x}, {to: e, else: true}]
            id: b, P, next: [d]
            id: c, P, next: [d]
            id: e, P, next: [e2]
            id: e2, P, next: [d]
            id: f, P, next: [d]
            id: d, P, join: {at_least: 4}""",
            4,
            3,
        ),
        # A stage either completes or fails.
        (
            "id: a, P, next: [b], on_error: {to: c}\n id: b, P, next: [d]\n id: c, P, next: [d]\n id: d, P, join: all",
            2,
            1,
        ),
    ],
)
def test_a_join_that_waits_for_more_than_can_come_is_found(stages: str, waits: int, most: int) -> None:
    expected = f"stage 'd', join: the join can never fire: it waits for {waits} branches, at most {most} can come"
    assert expected in only(stages)


@pytest.mark.parametrize("join", ["active", "any", "each", "{at_least: 1}"])
def test_joins_that_take_what_comes_are_right_behind_a_choice(join: str) -> None:
    stages = f"""
    id: a, P, choose: first, next: [{{to: b, when: result.x}}, {{to: c, else: true}}]
    id: b, P, next: [d]
    id: c, P, next: [d]
    id: d, P, join: {join}
    """
    assert said(stages) == []


def test_a_choice_made_anew_in_a_loop_may_take_each_way_in_turn() -> None:
    stages = """
    id: a, P, choose: first, next: [{to: b, when: result.x}, {to: c, else: true}]
    id: b, P, next: [d, {to: a, max_times: 1}]
    id: c, P, next: [d, {to: a, max_times: 1}]
    id: d, P, join: all
    """
    assert said(stages) == []


def test_a_join_that_counts_more_branches_than_there_are_is_found() -> None:
    found = only("id: a, P, next: [c]\n id: b, P, next: [c]\n id: c, P, join: {at_least: 3}")
    assert "the join can never fire: it waits for 3 of 2 branches; ask for fewer or lead more edges to it" in found


def test_inputs_come_from_the_run_or_from_a_stage_before() -> None:
    late = only("id: a, P, input: [x], next: [b]\n id: b, P, output: [x]")
    assert "stage 'a', input[0]: nobody produces the input `x` before the stage can run the first time" in late
    assert "lead `b` to it, or write {name: x, optional: true}" in late
    assert "the stage itself writes it" in only("id: a, P, input: [x], output: [x]")
    assert said("id: a, P, input: [{name: x, optional: true}], output: [x]") == []
    beside = "id: s, P, next: [a, b]\n id: a, P, output: [x]\n id: b, P, input: [x]"
    assert "`a` writes it" in only(beside)
    far = "id: a, P, output: [x], next: [b]\n id: b, P, next: [c]\n id: c, P, input: [x]"
    assert said(far) == []


def test_declared_inputs_are_all_there_are() -> None:
    head = "inputs: {source: string}\n"
    found = only("id: a, P, input: [sourc]", head)
    assert "nobody produces the input `sourc`: no stage writes it, and `inputs` does not declare it" in found
    assert "did you mean `source`?" in found
    assert said("id: a, P, input: [source, 'workspace:guide']", head) == []


def test_a_name_that_differs_a_little_from_what_a_stage_writes_is_warned_of() -> None:
    found = only("id: a, P, output: [prd_document], next: [b]\n id: b, P, input: [prd_documents]")
    assert found.startswith("warning")
    assert "did you mean `prd_document`?" in found


def test_maps_and_subflows_need_their_inputs_too() -> None:
    head = "inputs: {a: list}\n"
    assert said("id: m, P, map: {over: a, as: f, collect: c}, input: [f], next: [n]\n id: n, P, input: [c]", head) == []
    assert "stage 'm', map: nobody produces the input `b`" in only("id: m, P, map: {over: b, as: f}", head)
    found = only("id: m, kind: subflow, subflow: {file: x, inputs: {i: b}, outputs: {o: o}}", head)
    assert "stage 'm', subflow: nobody produces the input `b`" in found


def test_types_are_compared_where_both_sides_declare_them() -> None:
    stages = "id: a, P, output: [{name: o, type: %s}], next: [b]\n id: b, P, input: [{name: o, type: %s}]"
    assert "the type of `o` is list here, but the stage `a` gives string" in only(stages % ("string", "list"))
    for given, wanted in [("integer", "number"), ("file", "path"), ("json", "list"), ("string", "string")]:
        assert said(stages % (given, wanted)) == []
    found = only("id: a, P, input: [{name: i, type: list}]", "inputs: {i: {type: integer}}\n")
    assert "`i` is list here, but the input of the run gives integer" in found.replace("the type of ", "")
    schemas = stages.replace("type: %s", "schema: {type: %s}")
    assert "`o` is array here, but the stage `a` gives object" in only(schemas % ("object", "array"))
    assert said(schemas % ("integer", "number")) == []


def test_schemas_and_defaults_are_checked() -> None:
    assert "this is no JSON Schema" in only("id: a, P, output: [{name: o, schema: {type: foo}}]")
    head = "inputs: {i: {type: integer, default: many}}\n"
    assert "flow.yaml:2: inputs.i.default: the default `many` is not of the type integer" in only("id: a, P", head)
    assert "not of the type integer" in only("id: a, P", "inputs: {i: {type: integer, default: true}}\n")


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ("id: a, P, next: [{to: b, when: 'true', else: true}]\n id: b, P", "an edge has either `when` or `else`"),
        ("id: a, P, next: [{to: b, else: true}, {to: b, else: true}]\n id: b, P", "more than one edge has `else`"),
        ("id: a, P, next: [{to: b, max_time: 1h}]\n id: b, P", "`max_time` needs `max_times` beside it"),
        ("id: a, P, choice: x", "`choice` means nothing on a stage of kind `task`"),
        ("id: a, P, wait: {signal: x}", "a stage of kind `task` has no `wait`; add `kind: wait`"),
        ("id: a, kind: wait", "a stage of kind `wait` needs `wait`"),
        ("id: a, kind: wait, wait: {signal: x, for: 1h}", "exactly one of signal, for, until and stage"),
        ("id: a, kind: wait, wait: {}", "exactly one of signal, for, until and stage"),
        ("id: a, kind: wait, wait: {stage: a}", "a stage cannot wait for itself"),
        ("id: a, kind: wait, wait: {signal: x}, profession: p", "`profession` means nothing on a stage of kind `wait`"),
        ("id: a, kind: subflow, subflow: {file: x, id: y}", "a subflow has either `file` or `id`"),
        ("id: a, kind: end, next: [b]\n id: b, P", "nothing follows a stage of kind `end`"),
        ("id: a", "a task needs a profession"),
        ("id: a, P, join: {mode: all, rest: cancel}", "leaves no rest to cancel"),
        ("id: a, P, join: {mode: at_least}", "`at_least` and its number belong together"),
        ("id: a, P, on_error: []", "no way is named"),
        ("id: a, P, input: [x, x]", "the input `x` is listed twice"),
        ("id: a, P, output: [x, x]", "the output `x` is listed twice"),
        ("id: a, P, map: {over: x, collect: y}, output: [y]", "`y` is an output of each item too"),
        ("id: a, P, timeout: 10s, heartbeat: 10s", "the heartbeat is not shorter than the timeout"),
        ("id: a, P, retry: {backoff: 2h, max_backoff: 1h}", "`max_backoff` is shorter than `backoff`"),
        ("id: a, P, cancel: [a]", "a stage cannot cancel itself"),
        ("id: a, P, compensate: a", "a stage cannot compensate itself"),
        (
            "id: a, P, compensate: b\n id: b, P, next: [a]",
            "a stage that compensates another is a task that leads",
        ),
        ('id: a, kind: review, review: {by: ["person:x"], quorum: 2}', "2 must approve, but 1 review"),
        (
            'id: a, kind: review, review: {by: ["role:x"], on_timeout: {escalate: "role:y"}}',
            "without a timeout",
        ),
        ('id: a, kind: review, review: {by: ["role:x"], on_timeout: escalate, timeout: 1h}', "names to whom"),
        ('id: a, kind: review, review: {by: ["role:x"], on_reject: a}', "cannot lead back to the review itself"),
    ],
)
def test_options_that_contradict_each_other_are_named(stages: str, expected: str) -> None:
    assert any(expected in line for line in said(stages)), said(stages)


def test_a_person_needs_no_profession() -> None:
    assert said("id: a, agent: human") == []


def test_a_choice_with_one_wait_is_warned_of() -> None:
    assert only("id: a, kind: wait, wait: {signal: x}, choice: g").startswith("warning")


def test_errors_are_raised_where_only_what_is_right_may_pass() -> None:
    wrong = read_workflow(flow("id: a, P, next: [b]\n id: c, P").encode(), "flow.yaml")
    with pytest.raises(DefinitionInvalid, match="there is no stage `b`"):
        require_valid(wrong, PROFESSIONS)
    warned = read_workflow(flow("id: a, P, skills: {python: 9}").encode(), "flow.yaml")
    assert [problem.severity for problem in require_valid(warned, PROFESSIONS)] == ["warning"]
    assert validate(without_lines(wrong.workflow))[0].line == 1


def test_a_large_workflow_is_validated_in_about_linear_time() -> None:
    # Each stage reads what the one before the last wrote, so that no reader is right behind its writer.
    lines = [
        f"id: s{n}, P, input: [a{max(0, n - 2)}], output: [a{n}], next: [{{to: s{n + 1}}}]"
        if n > 1
        else f"id: s{n}, P, output: [a{n}], next: [{{to: s{n + 1}}}]"
        for n in range(5_000)
    ]
    assert problems(flow("\n".join([*lines, "id: s5000, P"]))) == []


def test_ways_that_meet_again_before_a_join_exclude_nothing() -> None:
    stages = """
    id: s, P, next: [a, f]
    id: a, P, next: [{to: b, when: result.x}, {to: c, else: true}]
    id: b, P, next: [m]
    id: c, P, next: [m]
    id: m, P, next: [d]
    id: f, P, next: [d]
    id: d, P, join: all
    """
    assert said(stages) == []
