"""Graphs of jobs become stages whose `needs` are edges, their steps programs that run."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from services.definitions.catalogue import shipped_catalogue
from services.definitions.foreign.reading import Imported, import_workflow
from services.definitions.problem import DefinitionInvalid
from tests.services.cli.conftest import Clawx, clawx, data

__all__ = ["clawx", "data"]

BUILD = """
name: Build and publish
on: {push: {branches: [main]}}
env: {LEVEL: "3"}
jobs:
  lint:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@v4
      - {name: Lint, run: echo linted}
  test:
    runs-on: ubuntu-latest
    needs: lint
    strategy: {matrix: {python: ["3.11", "3.12"], os: [linux]}}
    name: Tests on ${{ matrix.python }}
    env: {PYTHON: "${{ matrix.python }}"}
    steps:
      - run: |
          echo "tested $PYTHON at level $LEVEL"
  docs:
    needs: [lint]
    continue-on-error: true
    steps: [{uses: some/docs-action@v1}]
  publish:
    needs: [test, docs]
    if: github.ref == 'refs/heads/main'
    concurrency: {group: publish}
    steps:
      - run: echo "${{ secrets.TOKEN }}"
"""


def imported(text: str = BUILD) -> Imported:
    found = import_workflow(
        text.encode(), "ci.yaml", profession="devops_engineer", professions=shipped_catalogue().levels()
    )
    assert found.is_valid, found.problems
    assert found.format == "github"
    return found


def stages() -> dict[str, dict[str, object]]:
    return {stage["id"]: stage for stage in yaml.safe_load(imported().text)["workflow"]["stages"]}


def test_needs_are_edges_and_a_matrix_is_multiplied_out() -> None:
    found = stages()
    assert list(found) == ["lint", "test_3.11_linux", "test_3.12_linux", "docs", "publish"]
    assert found["lint"]["next"] == ["test_3.11_linux", "test_3.12_linux", "docs"]
    assert found["test_3.11_linux"]["next"] == found["docs"]["next"] == ["publish"]
    assert found["publish"]["join"] == "all"
    assert found["test_3.11_linux"]["name"] == "Tests on 3.11"


def test_options_carry_over() -> None:
    found = stages()
    assert found["lint"]["timeout"] == "300s"
    assert found["docs"]["on_error"] == "skip"
    assert found["publish"]["mutex"] == "publish"
    assert found["docs"]["instructions"] == "Do what these actions did: some/docs-action@v1"


def test_the_program_of_a_job_runs_and_says_that_it_is_done() -> None:
    command = stages()["test_3.12_linux"]["with"]["command"]  # type: ignore[index]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert out[0] == "tested 3.12 at level 3"
    assert json.loads(out[-1]) == {"ok": True}


def test_what_did_not_carry_over_is_listed_with_its_place() -> None:
    told = {loss.where: loss.reason for loss in imported().losses}
    assert {"workflow.on", "jobs.lint.runs-on", "jobs.lint.steps[0].uses", "jobs.publish.if", "jobs"} <= told.keys()
    assert "secrets.TOKEN" in told["jobs.publish.steps[0].run"]


def test_a_job_that_needs_what_is_not_there_is_refused() -> None:
    with pytest.raises(DefinitionInvalid, match="needs `nothing`, which is not there"):
        import_workflow(b"jobs: {a: {needs: nothing}}", "ci.yaml")
    with pytest.raises(DefinitionInvalid, match="there are no `jobs`"):
        import_workflow(b"jobs: []", "ci.yaml")


def test_the_command_prints_a_file_that_can_be_run_and_the_rest_beside_it(clawx: Clawx, tmp_path: Path) -> None:
    path = tmp_path / "ci.yaml"
    path.write_text(BUILD, encoding="utf-8")
    ended = clawx("workflows", "import", path)
    assert ended.code == 0, ended.err
    assert "left out: jobs.publish.if:" in ended.err
    ours = tmp_path / "ours.yaml"
    assert clawx("workflows", "import", path, "--out", ours).out == ""
    assert clawx("workflows", "validate", ours).code == 0
    assert clawx("workflows", "import", path, "--out", ours).code == 2
    said = json.loads(clawx("workflows", "import", path, "--json").out)
    assert (said["format"], said["valid"]) == ("github", True)
    assert {"where", "reason"} == said["left_out"][0].keys()
    assert clawx("workflows", "import", path, "--format", "serverless").code == 2
    assert clawx("workflows", "import", path, "--profession", "nobody").code == 2
    assert clawx("workflows", "import", tmp_path / "missing").code == 2
