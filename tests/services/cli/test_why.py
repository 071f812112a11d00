"""`clawx why` says why a task went where it went."""

from pathlib import Path

from tests.services.cli.program import started

FLOW = """
id: open
stages:
  - {id: words, agent: script, instructions: Write the user manual of the release, output: [manual]}
"""


def test_a_task_is_explained_by_its_stage_and_a_wrong_name_in_one_sentence(tmp_path: Path) -> None:
    data, flow = tmp_path / "data", tmp_path / "open.yaml"
    flow.write_text(FLOW)
    with started("run", str(flow), "--json", data=data) as run:
        assert run.end() == 0, run.said
    name = f"{run.last_json()['run_id']}/words"
    with started("why", name, "--json", data=data) as told:
        assert told.end() == 0, told.said
    (attempt,) = told.last_json()["attempts"]
    assert attempt["pick"]["ranked"][0]["profession"] == "technical_writer"
    assert attempt["score"] == sum(reason["score"] for reason in attempt["reasons"])
    with started("why", name, data=data) as text:
        assert text.end() == 0
    assert any("technical_writer" in line and "manual" in line for line in text.lines)
    with started("why", "nothing", data=data) as wrong:
        assert wrong.end() == 2
    assert "no task has the id `nothing`" in wrong.said[-1]
