"""The data team: every row is kept or rejected with its reason, and the figures are those of the rows kept."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.examples.chain import EXAMPLES, Outcome, load_workflow, run_stage, run_workflow

EXAMPLE = EXAMPLES / "data_team"
VISITS = (EXAMPLE / "visits.csv").read_text(encoding="utf-8")
CLEAN = "week,branch,visitors,loans\n2025-01-06,North,100,50\n2025-01-13,North,110,60\n2025-01-20,North,120,90\n"


def examine(visits: str, directory: Path) -> Outcome:
    directory.mkdir()
    return run_workflow(EXAMPLE, {"visits": visits}, directory)


def test_analysis_and_audit_both_come_before_the_report(tmp_path: Path) -> None:
    outcome = examine(VISITS, tmp_path / "run")
    assert outcome.executed == ["clean", "analyse", "audit", "report"]
    assert outcome.ended == "completed"


def test_the_rejected_rows_are_those_with_planted_faults(tmp_path: Path) -> None:
    outcome = examine(VISITS, tmp_path / "run")
    rejects = list(csv.DictReader(io.StringIO(outcome.read("rejects"))))
    lines = VISITS.splitlines()
    found = {lines[int(reject["line"]) - 1]: reject["reason"] for reject in rejects}
    assert sorted(found.values()) == [
        "branch is known from this row only",
        "loans is missing",
        "loans is missing",
        "visitors are out of all proportion",
        "visitors is missing",
        "visitors is not a count",
        "week and branch were there before",
        "week and branch were there before",
        "week is not a day",
    ]
    assert all("-12" in line for line, reason in found.items() if reason == "visitors is not a count")
    assert outcome.results[0] == {"rows": len(lines) - 1, "kept": len(lines) - 1 - 9, "rejected": 9}


def test_the_findings_are_the_figures_of_the_rows_kept(tmp_path: Path) -> None:
    outcome = examine(VISITS, tmp_path / "run")
    table = list(csv.DictReader(io.StringIO(outcome.read("table"))))
    findings = json.loads(outcome.read("findings"))
    assert [branch["name"] for branch in findings["branches"]] == ["North", "Hill", "River"]
    for branch in findings["branches"]:
        rows = [row for row in table if row["branch"] == branch["name"]]
        assert branch["visitors"] == sum(int(row["visitors"]) for row in rows)
        assert branch["loans"] == sum(int(row["loans"]) for row in rows)
    assert f"{findings['visitors']:,} visitors came" in outcome.read("report")
    assert outcome.read("chart").strip() in outcome.read("report")
    assert "The findings stand on firm ground." in outcome.read("report")


def test_a_trend_is_measured_along_the_line(tmp_path: Path) -> None:
    branch = json.loads(examine(CLEAN, tmp_path / "run").read("findings"))["branches"][0]
    assert (branch["change_percent"], branch["loans_a_visitor"], branch["fullest_week"]) == (20, 0.61, "2025-01-20")


def test_days_names_and_thousands_are_repaired(tmp_path: Path) -> None:
    dirty = 'branch,week,loans,visitors\n north ,06.01.2025,"1,200",1 100\nNORTH,2025-01-13,5,1\'000\n'
    outcome = examine(dirty, tmp_path / "run")
    assert outcome.read("table").splitlines()[1:] == ["2025-01-06,North,1100,1200", "2025-01-13,North,1000,5"]


def test_a_table_that_is_mostly_faulty_is_not_trusted(tmp_path: Path) -> None:
    outcome = examine(CLEAN + "bad,North,1,1\n" * 2, tmp_path / "run")
    assert not outcome.results[2]["trusted"]
    assert "Read the findings as hints" in outcome.read("report")


@pytest.mark.parametrize(
    ("visits", "reason"),
    [
        ("week,branch\n1,2\n", "the table lacks the columns visitors, loans"),
        ("week,branch,visitors,loans\n", "the table has no rows"),
        ("week,branch,visitors,loans\nx,y,1,1\n", "none of the 1 rows can be used; the first: week is not a day"),
    ],
)
def test_a_table_of_no_use_is_refused_with_a_sentence(visits: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "visits").write_text(visits, encoding="utf-8")
    answer = run_stage(EXAMPLE, load_workflow(EXAMPLE).stages[0], {"visits": tmp_path / "visits"}, tmp_path / "run")
    assert (answer.exit_code, answer.envelope["error"]) == (1, reason)
