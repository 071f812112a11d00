"""A workflow is made ready to run: professions by id and digest, programs by path, inner workflows by digest."""

from pathlib import Path

import pytest

from services.cli.run_job import read_job
from services.cli.run_request import Wish
from services.cli.workflow_source import prepare_file, read_source
from services.definitions.catalogue import shipped_catalogue
from services.definitions.nesting import levels_of
from services.definitions.problem import DefinitionInvalid
from services.definitions.resolution import Prepared, prepare
from services.definitions.workflow import Workflow, read_workflow
from services.settings import Settings

CATALOGUE = shipped_catalogue()
SETTINGS = Settings.read({})


def prepared(path: Path, text: str) -> Prepared:
    path.write_text(text)
    return prepare_file(read_source(path), CATALOGUE)


def test_aliases_become_ids_and_professions_are_kept_by_digest(tmp_path: Path) -> None:
    text = """
id: flow
stages:
  - {id: a, profession: developer, output: [x], next: [b]}
  - {id: b, kind: review, review: {by: [profession:architect, "role:lead"]}, input: [x]}
"""
    found = prepared(tmp_path / "flow.yaml", text)
    first, second = found.workflow.stages
    assert first.profession == "software_developer"
    assert second.review is not None
    assert second.review.by == ("profession:software_architect", "role:lead")
    assert set(found.professions) == {"software_developer", "software_architect"}
    for name, digest in found.professions.items():
        assert found.blobs[digest] == CATALOGUE.require(name).to_json()


def test_programs_beside_the_workflow_become_absolute_before_the_digest(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("")
    text = """
id: flow
stages:
  - {id: a, profession: developer, agent: command, with: {command: [python3, work.py, --deep, other.py]}}
  - {id: b, profession: developer, agent: script, with: {command: [work.py]}}
"""
    found = prepared(tmp_path / "flow.yaml", text)
    a, b = found.workflow.stages
    assert a.parameters["command"] == ["python3", str((tmp_path / "work.py").resolve()), "--deep", "other.py"]
    assert b.parameters["command"] == ["work.py"]
    kept = Workflow.from_json(found.blobs[found.workflow.digest()])
    assert kept.stages[0].parameters == a.parameters


def test_inner_workflows_are_taken_in_by_digest_with_what_they_name(tmp_path: Path) -> None:
    inner = "id: inner\nstages: [{id: deep, profession: qa_engineer, input: [x], output: [y]}]\n"
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "inner.yaml").write_text(inner)
    text = """
id: outer
stages:
  - {id: a, profession: developer, output: [x], next: [sub]}
  - {id: sub, kind: subflow, subflow: {file: parts/inner.yaml, inputs: {x: x}, outputs: {y: y}}, input: [x]}
"""
    found = prepared(tmp_path / "flow.yaml", text)
    subflow = found.workflow.stages[1].subflow
    assert subflow is not None
    kept = Workflow.from_json(found.blobs[found.workflow.digest()])
    assert [(digest, inner.id) for digest, inner in kept.subflows.items()] == [(subflow.digest, "inner")]
    assert set(found.professions) == {"software_developer", "qa_engineer"}


def test_names_of_subflows_in_different_files_do_not_meet(tmp_path: Path) -> None:
    part = "{stages: [{id: a, profession: developer, output: [%s]}]}"
    inner = f"id: inner\nstages: [{{id: s, kind: subflow, subflow: {{id: part}}}}]\nsubflows: {{part: {part % 'x'}}}\n"
    (tmp_path / "inner.yaml").write_text(inner)
    text = f"""
id: outer
stages:
  - {{id: own, kind: subflow, subflow: {{id: part}}}}
  - {{id: other, kind: subflow, subflow: {{file: inner.yaml}}}}
subflows:
  part: {part % "y"}
  unused: {part % "z"}
"""
    levels = levels_of(prepared(tmp_path / "flow.yaml", text).workflow)
    written = {
        path: [output.name for stage in level.stages for output in stage.output] for path, level in levels.items()
    }
    assert written == {"": [], "own": ["y"], "other": [], "other/s": ["x"]}


@pytest.mark.parametrize(
    ("file", "said"),
    [("flow.yaml", "contains itself"), ("nowhere.yaml", "cannot be read: No such file")],
)
def test_an_inner_workflow_that_cannot_be_is_refused_in_its_line(tmp_path: Path, file: str, said: str) -> None:
    text = f"id: outer\nstages:\n  - id: sub\n    kind: subflow\n    subflow:\n      file: {file}\n"
    with pytest.raises(DefinitionInvalid, match=said) as refused:
        prepared(tmp_path / "flow.yaml", text)
    assert refused.value.problems[0].line == 6


def test_a_workflow_may_have_inner_workflows_in_files_and_beside_its_stages(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text("id: inner\nstages: [{id: deep, profession: qa_engineer, output: [y]}]\n")
    text = """
id: outer
stages:
  - {id: own, kind: subflow, subflow: {id: part}, output: [x]}
  - {id: other, kind: subflow, subflow: {file: inner.yaml}, output: [y]}
subflows:
  part: {stages: [{id: a, profession: developer, output: [x]}, {id: b, kind: subflow, subflow: {file: inner.yaml}}]}
"""
    path = tmp_path / "flow.yaml"
    path.write_text(text)
    job = read_job(SETTINGS, path, [], wish=Wish(workspace_id="w"), timeout_ms=0, out=None, as_json=False)
    assert set(levels_of(prepare_file(job.source, CATALOGUE).workflow)) == {"", "own", "own/b", "other"}


def test_what_came_without_files_beside_it_names_none(tmp_path: Path) -> None:
    inner = "{stages: [{id: a, kind: subflow, subflow: {file: inner.yaml}}]}"
    text = f"id: outer\nstages: [{{id: s, kind: subflow, subflow: {{id: part}}}}]\nsubflows:\n  part: {inner}\n"
    with pytest.raises(DefinitionInvalid, match="workflow:4: subflow: an inner workflow cannot be a file here"):
        prepare(read_workflow(text.encode(), "workflow"), CATALOGUE)


def test_the_same_file_gives_the_same_digest(tmp_path: Path) -> None:
    text = "id: flow\nstages: [{id: a, profession: developer}]\n"
    assert prepared(tmp_path / "a.yaml", text).workflow == prepared(tmp_path / "b.yaml", text).workflow
