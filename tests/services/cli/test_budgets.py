"""`clawx budgets` sets, lists and shows what may be spent."""

from pathlib import Path

from tests.services.cli.program import Program, started


def call(*arguments: str, data: Path) -> Program:
    with started("budgets", *arguments, data=data) as program:
        program.end()
    return program


def test_a_budget_is_set_listed_shown_and_taken_away(tmp_path: Path) -> None:
    data, flow = tmp_path / "data", tmp_path / "flow.yaml"
    flow.write_text("id: f\nstages: [{id: s, profession: researcher, agent: script}]\n")
    with started("run", str(flow), data=data) as run:
        assert run.end() == 0, run.said
    made = call("set", "run:*", "--tokens", "500", "--money", "1.5", "--json", data=data)
    assert made.process.returncode == 0, made.said
    assert made.last_json() == {"workspace_id": "default", "subject": "run:*", "tokens": 500, "cost_micros": 1_500_000}
    listed = call("list", "--json", data=data).last_json()
    assert (listed["subject"], listed["tokens"]["limit"], listed["tokens"]["spent"]) == ("run:*", 500, 0)
    assert any("run:*" in line and "1.5" in line for line in call("list", data=data).lines)
    assert call("show", "run:*", "--json", data=data).last_json() == listed
    assert call("set", "run:*", "--none", data=data).process.returncode == 0
    assert call("list", data=data).lines == []


def test_wrong_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    neither = call("set", "workspace", data=tmp_path / "data")
    assert (neither.process.returncode, "--none" in neither.said[-1]) == (2, True)
