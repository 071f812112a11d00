"""The software team: the code passes tests that really ran, and the tester's word counts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.chain import EXAMPLES, Outcome, load_workflow, run_stage, run_workflow

EXAMPLE = EXAMPLES / "software_team"
SPEC = (EXAMPLE / "spec.txt").read_text(encoding="utf-8")


def build(spec: str, directory: Path) -> Outcome:
    directory.mkdir()
    return run_workflow(EXAMPLE, {"spec": spec}, directory)


def test_the_tester_sends_back_once_and_then_releases(tmp_path: Path) -> None:
    outcome = build(SPEC, tmp_path / "run")
    assert outcome.executed == ["specify", "design", "develop", "test", "develop", "test"]
    assert outcome.ended == "completed"
    assert outcome.results[3] == {"passed": False, "tests": 6, "failed_lines": [12, 14, 15]}
    assert outcome.results[5] == {"passed": True, "tests": 6, "failed_lines": []}
    assert "Ran 6 tests" in outcome.read("test_log")


def test_the_released_code_answers_every_example_of_the_specification(tmp_path: Path) -> None:
    outcome = build(SPEC, tmp_path / "run")
    (tmp_path / "parcel_prices.py").write_text(outcome.read("module"), encoding="utf-8")
    (tmp_path / "ask.py").write_text(
        "from decimal import Decimal as D\nfrom parcel_prices import WeightRefused, find_price\n"
        "print(find_price(D('0.4')), find_price(D(1)), find_price(D(5), express=True), find_price(D(20)))\n"
        "for kg in ('20.1', '0', '-3'):\n    try:\n        print(find_price(D(kg)))\n"
        "    except WeightRefused as refusal:\n        print(refusal)\n",
        encoding="utf-8",
    )
    asked = subprocess.run([sys.executable, "ask.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines() == [
        "4.50 4.50 10.35 12.40",
        "20.1 kg is more than 20 kg",
        "a parcel cannot weigh 0 kg",
        "a parcel cannot weigh -3 kg",
    ]


def test_a_specification_that_contradicts_itself_is_rejected_after_all_rounds(tmp_path: Path) -> None:
    outcome = build(SPEC + "2.5 kg costs 7.00\n", tmp_path / "run")
    assert outcome.executed.count("develop") == 3
    assert outcome.ended == "failed"
    assert outcome.results[-1]["failed_lines"] == [17]


def test_a_specification_that_means_below_the_limit_passes_at_once(tmp_path: Path) -> None:
    spec = "Parcels\nUp to 2 kg it costs 3.00\nUp to 9 kg it costs 5.00\nExamples\n2 kg costs 5.00\n9 kg is refused\n"
    outcome = build(spec, tmp_path / "run")
    assert outcome.executed == ["specify", "design", "develop", "test"]
    assert outcome.results[-1]["passed"]


@pytest.mark.parametrize("title", ["class", "json", "2026", "包裹价格", '"""; import os #', "a'b\\"])
def test_any_title_makes_a_module_that_can_be_imported(title: str, tmp_path: Path) -> None:
    outcome = build(f"{title}\nUp to 2 kg it costs 3.00\nExamples\n1 kg costs 3.00\n", tmp_path / "run")
    assert outcome.results[-1]["passed"], outcome.read("test_log")
    assert json.loads(outcome.read("design"))["module"].isidentifier()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (SPEC.replace("Express costs", "Express is"), "line 8 is neither a rule nor an example: Express is 1.5 times"),
        ("", "the specification needs a title"),
        ("Title\nUp to 1 kg it costs 2.00\n", "at least one example"),
    ],
)
def test_an_unclear_specification_is_refused_with_its_line(spec: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "spec").write_text(spec, encoding="utf-8")
    answer = run_stage(EXAMPLE, load_workflow(EXAMPLE).stages[0], {"spec": tmp_path / "spec"}, tmp_path / "run")
    assert (answer.exit_code, answer.envelope["ok"]) == (1, False)
    assert reason in answer.envelope["error"]
