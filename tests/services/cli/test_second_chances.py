"""`clawx workflows fork` and `rerun` on the embedded log: what was done is shown and not done again."""

import json
from pathlib import Path
from typing import Any

from tests.eventually import eventually_blocking
from tests.services.cli.program import run, started

FLOW = """
id: line
inputs: {topic: {type: string}}
stages:
  - {id: plan, profession: product_manager, input: [topic], output: [plan], next: [build]}
  - {id: build, profession: developer, input: [plan], output: [code], next: [check]}
  - {id: check, profession: qa_engineer, input: [code, topic], output: [verdict]}
"""
FAILING = FLOW.replace("output: [code], next", "output: [code], with: {script: [{fail: broken}]}, next")


def stages(found: dict[str, object]) -> list[str]:
    listed = found["stages"]
    assert isinstance(listed, list)
    return [each["id"] for each in listed]


def test_a_failed_run_goes_on_with_a_better_definition(tmp_path: Path, data: Path) -> None:
    (tmp_path / "bad.yaml").write_text(FAILING)
    (tmp_path / "good.yaml").write_text(FLOW)
    failed = run("run", str(tmp_path / "bad.yaml"), "-i", "topic=tea", "--json", data=data)
    assert failed.process.returncode == 1
    old = failed.last_json()["run_id"]
    more = ("--definition", str(tmp_path / "good.yaml"))

    planned = run("workflows", "fork", old, "--at", "build", *more, "--dry-run", "--json", data=data)
    assert planned.process.returncode == 0, planned.said
    plan = planned.last_json()
    assert plan["run_id"] == old
    assert plan["stages"] == [{"id": "plan", "executions": 1, "completed": 1}]
    assert plan["anew"] == [{"id": "build", "execution": 1}]
    listed = run("workflows", "list", "--json", data=data)
    assert len(listed.lines) == 1  # nothing was started

    forked = run("workflows", "fork", old, "--at", "build", *more, "--json", data=data)
    assert forked.process.returncode == 0, forked.said
    assert any("reused stages     plan" in line for line in forked.said)
    found = forked.last_json()
    assert stages(found) == ["build", "check"]
    assert found["forked_from"] == {"run_id": old, "offset": plan["offset"], "state": plan["state"]}
    assert set(found["outputs"]) == {"plan", "code", "verdict"}

    replayed = run("replay", data=data)
    assert replayed.process.returncode == 0, (replayed.lines, replayed.said)
    traced = run("trace", found["run_id"], "--json", data=data)
    assert json.loads("".join(traced.lines))["type"] == "RunForkRequested"


def test_a_rerun_changes_nothing_and_does_nothing_twice(tmp_path: Path, data: Path) -> None:
    (tmp_path / "line.yaml").write_text(FLOW)
    first = run("run", str(tmp_path / "line.yaml"), "-i", "topic=tea", "--json", data=data).last_json()
    again = run("workflows", "rerun", first["run_id"], "--from", "check", "--json", data=data)
    assert again.process.returncode == 0, again.said
    found = again.last_json()
    assert stages(found) == ["check"]
    digests = [{name: each["sha256"] for name, each in one["outputs"].items()} for one in (first, found)]
    assert digests[0] == digests[1]

    other = run(
        "workflows", "fork", first["run_id"], "--at", "check", "-i", "topic=ale", "--json", data=data
    ).last_json()
    assert other["outputs"]["verdict"]["sha256"] != first["outputs"]["verdict"]["sha256"]
    recast = run("workflows", "fork", first["run_id"], "--at", "build", "--profession", "build=tester", data=data)
    assert recast.process.returncode == 0, recast.said


def test_what_cannot_be_is_said_in_a_sentence(tmp_path: Path, data: Path) -> None:
    (tmp_path / "line.yaml").write_text(FLOW)
    old = run("run", str(tmp_path / "line.yaml"), "-i", "topic=tea", "--json", data=data).last_json()["run_id"]
    for arguments, said in [
        (("run-0", "--at", "build"), "there is no run run-0"),
        ((old, "--at", "nix"), "in which `nix` began"),
        ((old, "--at", "build#x"), "is no point of a run"),
        ((old, "--at", "build", "-i", "u=v"), "the workflow has no input `u`"),
        ((old, "--at", "build", "--profession", "build"), "must be STAGE=PROFESSION"),
        ((old, "--at", "build", "--profession", "nix=tester"), "there is no stage `nix`"),
        ((old, "--at", "build", "--no-wait"), "nothing runs that would go on with it"),
    ]:
        refused = run("workflows", "fork", *arguments, data=data)
        assert refused.process.returncode == 2, refused.said
        assert said in "\n".join(refused.said)
    assert len(run("workflows", "list", "--json", data=data).lines) == 1


def test_a_run_is_paused_resumed_and_a_task_of_it_cancelled(tmp_path: Path, data: Path) -> None:
    (tmp_path / "asking.yaml").write_text(
        "id: asking\nstages:\n  - {id: a, profession: developer, agent: human, next: [b]}\n"
        "  - {id: b, profession: developer, agent: human}\n"
    )
    with started("up", "--port", "0", data=data) as up:
        eventually_blocking(lambda: bool(up.lines), 60)
        old = run("workflows", "start", str(tmp_path / "asking.yaml"), "--json", data=data).last_json()["run_id"]
        paused = run("workflows", "pause", old, "--json", data=data)
        assert paused.last_json() == {"run_id": old, "status": "paused"}
        assert run("workflows", "pause", old, data=data).process.returncode == 1
        (task,) = [json.loads(line)["task_id"] for line in run("tasks", "list", "--json", data=data).lines]
        cancelled = run("tasks", "cancel", task, "--json", data=data)
        assert cancelled.last_json() == {"task_id": task, "run_id": old, "stage": "a"}
        assert run("tasks", "cancel", "no-such-task", data=data).process.returncode == 2
        assert run("workflows", "resume", old, "--json", data=data).last_json()["status"] == "running"
        shown = eventually_blocking(lambda: _shown(old, data), 60)
        assert [each["status"] for each in shown["stages"]] == ["cancelled", "skipped"]


def _shown(run_id: str, data: Path) -> Any:
    found = run("workflows", "show", run_id, "--json", data=data).last_json()
    return found if found["status"] == "completed" else None
