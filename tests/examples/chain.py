"""Runs the command programs of an example one after the other, as its workflow file says, without the system."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.definitions.edge import Edge
from services.definitions.expression import compile_expression
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow, read_workflow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM_TIMEOUT_S = 120
STEPS_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program said: its answer, its progress, its exit code."""

    exit_code: int
    envelope: dict[str, Any]
    progress: list[str]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The stages in the order in which they were executed, and the last version of each artifact."""

    executed: list[str] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Path] = field(default_factory=dict)
    ended: str = "completed"

    def read(self, name: str) -> str:
        return self.artifacts[name].read_text(encoding="utf-8")


def load_workflow(example: Path) -> Workflow:
    path = example / "workflow.yaml"
    return read_workflow(path.read_bytes(), str(path)).workflow


def run_program(
    command: list[str], envelope: Mapping[str, Any], directory: Path, environment: Mapping[str, str] | None = None
) -> Answer:
    """From a directory of its own, so that nothing depends on where the workflow file lies."""
    done = subprocess.run(
        [sys.executable, *command[1:]],
        input=json.dumps(envelope).encode(),
        capture_output=True,
        cwd=directory,
        env={**os.environ, **(environment or {})},
        timeout=PROGRAM_TIMEOUT_S,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    assert lines, done.stderr.decode()
    return Answer(exit_code=done.returncode, envelope=json.loads(lines[-1]), progress=done.stderr.decode().splitlines())


def run_stage(example: Path, stage: Stage, artifacts: Mapping[str, Path], directory: Path) -> Answer:
    """Relative names of files in the command mean files beside the workflow, as the command line resolves them."""
    directory.mkdir(parents=True)
    given = [entry.name for entry in stage.input if not entry.optional or entry.name in artifacts]
    envelope = {
        "run_id": "run-1",
        "stage": stage.id,
        "execution": 1,
        "task_id": "task-1",
        "attempt_id": "attempt-1",
        "profession": stage.profession,
        "inputs": {name: _describe(artifacts[name]) for name in given},
        "outputs": {entry.name: {"path": str(directory / entry.name)} for entry in stage.output},
        "parameters": {key: value for key, value in stage.parameters.items() if key != "command"},
        "deadline": None,
    }
    command = [str(example / part) if (example / part).is_file() else part for part in stage.parameters["command"]]
    return run_program(command, envelope, directory)


def _describe(path: Path) -> dict[str, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"path": str(path), "sha256": digest, "media_type": "application/octet-stream"}


def run_workflow(example: Path, inputs: Mapping[str, str], directory: Path) -> Outcome:
    """For workflows whose joins wait for all branches: one stage after the other, in the order of the tokens."""
    workflow = load_workflow(example)
    stages = {stage.id: stage for stage in workflow.stages}
    outcome = Outcome()
    for name, text in inputs.items():
        outcome.artifacts[name] = directory / f"input-{name}"
        outcome.artifacts[name].write_text(text, encoding="utf-8")
    waiting = [workflow.stages[0].id]
    taken: Counter[tuple[str, str]] = Counter()
    while waiting:
        stage = stages[waiting.pop(0)]
        if stage.end:
            outcome.ended = stage.end.status
            break
        _execute(example, stage, directory, outcome)
        for edge in _choose_edges(stage, outcome.results[-1], taken):
            taken[stage.id, edge.to] += 1
            if edge.max_times is not None or _has_arrived(workflow, edge.to, outcome.executed):
                waiting.append(edge.to)
    return outcome


def _execute(example: Path, stage: Stage, directory: Path, outcome: Outcome) -> None:
    assert len(outcome.executed) < STEPS_MAX
    place = directory / f"{len(outcome.executed):02}-{stage.id}"
    answer = run_stage(example, stage, outcome.artifacts, place)
    assert answer.exit_code == 0, answer.progress
    assert set(answer.envelope["outputs"]) == {output.name for output in stage.output}
    for name, given in answer.envelope["outputs"].items():
        outcome.artifacts[name] = Path(given.get("path", place / name))
        if "text" in given:
            outcome.artifacts[name].write_text(given["text"], encoding="utf-8")
    outcome.executed.append(stage.id)
    outcome.results.append(answer.envelope["result"])


def _choose_edges(stage: Stage, result: dict[str, Any], taken: Counter[tuple[str, str]]) -> list[Edge]:
    """An edge used up does not hold; `else` holds when no other does."""
    holding = [
        edge
        for edge in stage.next
        if not edge.otherwise
        and (edge.max_times is None or taken[stage.id, edge.to] < edge.max_times)
        and (edge.when is None or compile_expression(edge.when).holds({"result": result}))
    ]
    chosen = holding or [edge for edge in stage.next if edge.otherwise]
    assert chosen or not stage.next, f"no edge of {stage.id} holds"
    return chosen


def _has_arrived(workflow: Workflow, target: str, executed: list[str]) -> bool:
    """Back edges are not waited for."""
    before = {stage.id for stage in workflow.stages for edge in stage.next if edge.to == target and not edge.max_times}
    return before <= set(executed)
