"""Examples that the whole system runs, from the command in the README to what a person reads in the end."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.examples.chain import EXAMPLES, load_workflow, run_stage
from tests.examples.test_workflows import COMMANDS
from tests.services.cli.program import run
from tests.services.definitions.test_workflow import SPECIFICATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run that completed."""

    said: dict[str, Any]
    directory: Path

    def read(self, name: str) -> str:
        return Path(self.said["outputs"][name]["path"]).read_text(encoding="utf-8")

    def stages(self) -> list[str]:
        return [f"{stage['id']} {stage['status']}" for stage in self.said["stages"]]


def ran(directory: Path, *arguments: str) -> Ran:
    program = run("run", *arguments, "--json", "--out", str(directory / "out"), data=directory / "data")
    assert program.process.returncode == 0, program.said
    return Ran(said=program.last_json(), directory=directory)


def typed(name: str, directory: Path, *, given: str = "") -> Ran:
    """The command of the README, with its files or with another input."""
    (command,) = (command for command in COMMANDS if f"examples/{name}/" in command)
    _, _, file, *options = shlex.split(command)
    field, _, value = options[options.index("--input") + 1].partition("=")
    value = given or f"@{EXAMPLES.parent / value.removeprefix('@')}"
    return ran(directory, str(EXAMPLES.parent / file), "--input", f"{field}={value}")


def test_the_research_team_repeats_its_experiment_until_it_is_precise(tmp_path: Path) -> None:
    found = typed("research_team", tmp_path)
    analysis = json.loads(found.read("analysis"))
    assert found.stages().count("experiment completed") == 2
    assert analysis["worst_error"] <= 0.05
    assert analysis["repeats"] > 4
    article = found.read("article")
    assert f"From a length of {analysis['crossing']} on, merge needs fewer comparisons than insertion." in article
    assert 4 <= analysis["crossing"] <= 24
    assert article.count("<polyline") == 2
    lines = re.findall(r"<tr><td>(\d+)</td><td>([\d,.]+) ± [\d.]+</td><td>([\d,.]+) ±", article)
    figures = {int(length): (float(a.replace(",", "")), float(b.replace(",", ""))) for length, a, b in lines}
    assert figures[128][0] == pytest.approx(128 * 127 / 4 + 128, rel=0.1)  # what theory says of insertion sort
    assert figures[128][1] < 128 * 7


def test_a_letter_is_written_for_each_member_and_bound_in_order(tmp_path: Path) -> None:
    found = typed("letters", tmp_path)
    letters = json.loads(found.read("letters"))
    assert [letter.split("\n")[0] for letter in letters] == [
        "Dear Ana Ferreira,", "陈立，您好！", "Dear Jonas Weber,", "王秀英，您好！", "Dear Priya Nair,",
        "Dear Tomás Ruiz,",
    ]  # fmt: skip
    assert ["has not reached us" in letter or "尚未到账" in letter for letter in letters] == [
        False, True, True, False, False, True
    ]  # fmt: skip
    assert found.read("print").count("<section>") == 6
    assert sum(stage["id"] == "write" and "item" in stage for stage in found.said["stages"]) == 6


def test_an_incident_is_an_alarm_by_what_stands_in_the_log(tmp_path: Path) -> None:
    found = typed("incident", tmp_path)
    report = found.read("report")
    assert report.startswith("# ALARM: ")
    assert "From 2025-03-04T14:31 to 2025-03-04T14:41" in report
    assert "customers could not pay" in report
    assert "- [ ] Block 192.0.2.66" in report
    assert {"notice skipped", "nothing skipped", "inspect/paths completed"} <= set(found.stages())


def test_a_smaller_incident_is_a_notice(tmp_path: Path) -> None:
    lines = [f"2025-03-04T14:00:{n:02}Z 10.0.0.1 GET / {500 if n > 7 else 200} 20" for n in range(10)]
    found = typed("incident", tmp_path, given="\n".join(lines))
    assert found.read("report").startswith("# Notice: 2 requests failed")
    assert "alarm skipped" in found.stages()


def test_minutes_are_approved_by_silence_and_have_a_calendar(tmp_path: Path) -> None:
    found = typed("minutes", tmp_path)
    assert found.stages() == ["write completed", "approve completed", "publish completed"]
    page, calendar = found.read("page"), found.read("calendar")
    assert "<li>snail collars are bought for the lettuce beds</li>" in page
    assert page.index("buys twenty snail collars") < page.index("mends the water butt</td>")
    assert re.findall(r"DTSTART;VALUE=DATE:(\d+)", calendar) == ["20250412", "20250409", "20250501"]


def test_the_workflow_of_the_specification_runs_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPECIFICATION, encoding="utf-8")
    found = ran(tmp_path, str(path), "--input", "user_request=一个待办事项应用")
    assert found.stages() == [
        "requirement completed", "architecture completed", "development completed", "testing completed"
    ]  # fmt: skip
    assert set(found.said["outputs"]) == {"prd_document", "tech_design", "code_artifacts", "test_report"}


@pytest.mark.parametrize(
    ("example", "name", "text", "said"),
    [
        ("research_team", "question", "question: why?\n", "does not say"),
        ("letters", "members", "name,language\n", "needs the columns"),
        ("incident", "log", "nothing\n", "1 of 1 lines are no requests"),
        ("minutes", "notes", "hello\n", "no line `Meeting:`"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(
    tmp_path: Path, example: str, name: str, text: str, said: str
) -> None:
    (tmp_path / "given").write_text(text, encoding="utf-8")
    folder = EXAMPLES / example
    answer = run_stage(folder, load_workflow(folder).stages[0], {name: tmp_path / "given"}, tmp_path / "run")
    assert answer.exit_code == 1
    assert not answer.envelope["ok"]
    assert said in answer.envelope["error"]
