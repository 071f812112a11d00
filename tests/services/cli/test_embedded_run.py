"""`clawx run` on the embedded log: everything in its own process, from the file to the outputs and the exit code."""

import hashlib
import json
import signal
from pathlib import Path

import pytest

from tests.eventually import eventually_blocking
from tests.services.cli.conftest import Clawx
from tests.services.cli.program import Program, run, started

CHAIN = """
workflow:
  id: chain
  inputs: {topic: {type: string, required: true}}
  stages:
    - {id: plan, profession: product_manager, input: [topic], output: [plan], next: [build]}
    - id: build
      profession: developer
      input: [plan]
      output: [code]
      agent: command
      with: {command: [python3, build.py]}
      next: [check]
    - id: check
      profession: qa_engineer
      input: [code]
      output: [verdict]
      with: {script: [{result: {passed: false}}, {result: {passed: true}, outputs: {verdict: good}}]}
      next:
        - {to: build, when: "!result.passed", max_times: 2}
        - {to: done, else: true}
    - {id: done, kind: end, end: {status: completed}}
"""
BUILD = """
import json, pathlib, sys
task = json.load(sys.stdin)
print("building", file=sys.stderr)
pathlib.Path(task["outputs"]["code"]["path"]).write_text(f"code {task['execution']}")
print(json.dumps({"ok": True, "result": {"execution": task["execution"]}}))
"""
FAILING = "id: bad\nstages: [{id: a, profession: developer, with: {script: [{fail: it broke}]}}]\n"
SLOW = "id: slow\nstages: [{id: a, profession: developer, output: [x], with: {script: [{delay: 60s}]}}]\n"


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """A workflow with a loop, and the program beside it."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "build.py").write_text(BUILD)
    path = tmp_path / "flows" / "chain.yaml"
    path.write_text(CHAIN)
    return path


def test_a_run_prints_the_object_that_scripts_rely_on(flow: Path, data: Path, clawx: Clawx) -> None:
    ended = run("run", str(flow), "--input", "topic=tea", "--json", data=data)
    assert ended.process.returncode == 0, ended.said
    assert len(ended.lines) == 1
    found = ended.last_json()
    assert set(found) == {"run_id", "status", "outputs", "stages"}
    assert found["status"] == "completed"
    assert [(each["id"], each["execution"], each["status"]) for each in found["stages"]] == [
        ("plan", 1, "completed"),
        ("build", 1, "completed"),
        ("check", 1, "completed"),
        ("build", 2, "completed"),
        ("check", 2, "completed"),
        ("done", 1, "completed"),
    ]
    for stage in found["stages"]:
        assert set(stage) == {"id", "execution", "status", "attempts", "instance_id", "started_at", "ended_at"}
        assert stage["started_at"] <= stage["ended_at"]
        assert bool(stage["instance_id"]) == (stage["id"] != "done")
    for name, version in (("plan", 1), ("code", 2), ("verdict", 2)):
        output = found["outputs"][name]
        assert set(output) == {"version", "sha256", "path"}
        assert output["version"] == version
        assert output["sha256"] == hashlib.sha256(Path(output["path"]).read_bytes()).hexdigest()
    assert Path(found["outputs"]["code"]["path"]).read_text() == "code 2"
    assert "  build | building" in ended.said
    _check_what_can_be_read_afterwards(clawx, found)


def _check_what_can_be_read_afterwards(clawx: Clawx, found: dict[str, object]) -> None:
    """Trace, artifacts and runs are read from the log alone."""
    run_id = str(found["run_id"])
    tree = json.loads(clawx("trace", run_id, "--json").out)
    types: list[str] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        types.append(node["type"])
        waiting.extend(node["children"])
    assert tree["type"] == "RunRequested"
    assert types.count("TaskAssigned") == types.count("TaskCompleted") == 5
    assert types.count("InstanceReady") == 3
    assert types.count("RunEnded") == 1
    assert len(clawx("trace", run_id).out.splitlines()) == len(types)
    lines = [json.loads(line) for line in clawx("artifacts", "list", run_id, "--json").out.splitlines()]
    assert [(each["name"], each["version"], each["stage"], each["execution"]) for each in lines] == [
        ("plan", 1, "plan", 1),
        ("code", 1, "build", 1),
        ("verdict", 1, "check", 1),
        ("code", 2, "build", 2),
        ("verdict", 2, "check", 2),
    ]
    assert [(read["name"], read["version"]) for read in lines[4]["reads"]] == [("code", 2)]
    listed = json.loads(clawx("workflows", "list", "--json").out)
    assert (listed["run_id"], listed["workflow_id"], listed["status"]) == (run_id, "chain", "completed")
    assert json.loads(clawx("workflows", "show", run_id, "--json").out)["stages"] == found["stages"]


def test_a_run_that_fails_says_why_and_ends_with_one(tmp_path: Path, data: Path) -> None:
    (tmp_path / "bad.yaml").write_text(FAILING)
    ended = run("run", "bad.yaml", "--json", data=data)
    assert ended.process.returncode == 1
    found = ended.last_json()
    assert (found["status"], found["stages"][0]["status"]) == ("failed", "failed")
    assert any("it broke" in line for line in ended.said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_and_says_so(tmp_path: Path, data: Path, number: int) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW)
    with started("run", "slow.yaml", "--json", data=data) as program:
        _wait_for_work(program)
        program.interrupt(number)
        assert program.end() == 1
    assert any(line.startswith("cancelling run-") for line in program.said)
    found = program.last_json()
    assert (found["status"], found["stages"][0]["status"]) == ("cancelled", "cancelled")


def test_a_run_whose_time_is_over_is_cancelled(tmp_path: Path, data: Path) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW)
    ended = run("run", "slow.yaml", "--json", "--timeout", "1s", data=data)
    assert ended.process.returncode == 1
    assert ended.last_json()["status"] == "cancelled"
    assert any(line.startswith("the time is over") for line in ended.said)


def test_a_second_process_on_the_same_log_is_told_to_use_the_server(tmp_path: Path, data: Path) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW)
    with started("run", "slow.yaml", data=data) as first:
        _wait_for_work(first)
        second = run("run", "slow.yaml", data=data)
    assert second.process.returncode == 2
    assert len(second.said) == 1
    assert "--server" in second.said[0]


def _wait_for_work(program: Program) -> None:
    at_work = "  a: at work"
    eventually_blocking(lambda: any(line.startswith(at_work) for line in program.said), what=f"{at_work!r} on stderr")


def test_a_key_gives_the_same_run_again_and_a_tag_finds_it(flow: Path, data: Path) -> None:
    named = ("--key", "once", "--tag", "team=red", "--json")
    first = run("run", str(flow), "--input", "topic=tea", *named, data=data)
    again = run("run", str(flow), "--input", "topic=tea", *named, data=data)
    assert again.last_json() == first.last_json()
    other = run("run", str(flow), "--input", "topic=coffee", *named, data=data)
    assert other.process.returncode == 2
    assert "was used for another ask" in other.said[-1]
    for tag, count in (("team=red", 1), ("team", 1), ("team=blue", 0), ("role", 0)):
        assert len(run("workflows", "list", "--tag", tag, "--json", data=data).lines) == count
