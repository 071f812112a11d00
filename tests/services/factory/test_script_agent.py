"""The script agent plays what it is told, the same way every time."""

import json

import pytest

from services.factory.agents.port import Assignment, Input
from services.factory.agents.script import play


def assignment(parameters: object = None, *, ordinal: int = 1, outputs: tuple[str, ...] = ("report",)) -> Assignment:
    return Assignment(
        run_id="r",
        stage="write",
        execution=2,
        item=-1,
        ordinal=ordinal,
        task_id="t",
        attempt_id="a",
        profession="qa_engineer",
        agent="script",
        parameters=json.dumps(parameters or {}),
        inputs={"draft": Input(digest="sha256:" + "ab" * 32)},
        outputs=dict.fromkeys(outputs, ""),
        deadline_ms=0,
    )


def test_without_a_script_each_output_names_the_digests_of_the_inputs() -> None:
    delay_ms, outcome = play(assignment(outputs=("report", "log")))
    assert (delay_ms, outcome.ok, set(outcome.outputs)) == (0, True, {"report", "log"})
    text = outcome.outputs["report"].text or ""
    assert "sha256:" + "ab" * 32 in text
    assert "write" in text
    assert play(assignment(outputs=("report", "log")))[1] == outcome


def test_each_attempt_plays_one_item_and_the_last_repeats() -> None:
    script = {"script": [{"result": {"n": 1}}, {"fail": "no luck"}, {"result": {"n": 3}}]}
    outcomes = [play(assignment(script, ordinal=ordinal))[1] for ordinal in (1, 2, 3, 4)]
    assert [outcome.ok for outcome in outcomes] == [True, False, True, True]
    assert [json.loads(outcome.result) for outcome in outcomes] == [{"n": 1}, {}, {"n": 3}, {"n": 3}]
    assert outcomes[1].error == "no luck"


def test_an_item_says_its_delay_result_outputs_quality_and_usage() -> None:
    item = {
        "delay": "1.5s",
        "result": {"passed": True, "名": "值"},
        "outputs": {"report": "text", "data": {"a": [1]}},
        "quality": 0.75,
        "usage": {"input_tokens": 7},
    }
    delay_ms, outcome = play(assignment({"script": [item]}, outputs=("report", "data", "rest")))
    assert delay_ms == 1500
    assert json.loads(outcome.result) == item["result"]
    assert (outcome.outputs["report"].text, outcome.outputs["report"].media_type) == ("text", "text/plain")
    assert outcome.outputs["data"].media_type == "application/json"
    assert json.loads(outcome.outputs["data"].text or "") == {"a": [1]}
    assert outcome.outputs["rest"].text
    assert (outcome.quality, outcome.usage) == (0.75, {"input_tokens": 7})


def test_what_a_failing_item_wrote_is_partial_output() -> None:
    outcome = play(assignment({"script": [{"fail": "half way", "outputs": {"report": "so far"}}]}))[1]
    assert (outcome.ok, outcome.outputs["report"].text) == (False, "so far")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"script": []}, "at least one item"),
        ({"script": "x"}, "list"),
        ([1], "list"),
        ({"script": [3]}, "item 1 of the script must be an object"),
        ({"script": [{}, {"dealy": "1s"}]}, "item 2 of the script holds 'dealy'"),
        ({"script": [{"delay": "soon"}]}, "item 1 of the script: `soon` is not a length of time"),
        ({"script": [{"quality": 2}]}, "item 1 of the script"),
        ({"script": [{"result": [1]}]}, "item 1 of the script"),
        ({"script": [{"outputs": {"other": "x"}}]}, "'other', which the stage does not declare"),
    ],
)
def test_a_broken_script_fails_its_attempt_with_a_reason(parameters: object, words: str) -> None:
    outcome = play(assignment(parameters))[1]
    assert not outcome.ok
    assert words in outcome.error
