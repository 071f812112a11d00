"""Runs the command programs of an example one after the other, as its workflow file says, without the system."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.definitions.expression import compile_expression
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow, read_workflow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM_TIMEOUT_S = 30
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
    ended: str = ""

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
    """For workflows with one token: each stage takes the first of its edges that holds."""
    workflow = load_workflow(example)
    stages = {stage.id: stage for stage in workflow.stages}
    outcome = Outcome()
    for name, text in inputs.items():
        outcome.artifacts[name] = directory / f"input-{name}"
        outcome.artifacts[name].write_text(text, encoding="utf-8")
    stage: Stage | None = workflow.stages[0]
    taken: dict[tuple[str, str], int] = {}
    while stage and stage.kind != "end":
        assert len(outcome.executed) < STEPS_MAX
        place = directory / f"{len(outcome.executed):02}-{stage.id}"
        answer = run_stage(example, stage, outcome.artifacts, place)
        assert answer.exit_code == 0, answer.progress
        outcome.executed.append(stage.id)
        outcome.results.append(answer.envelope["result"])
        outcome.artifacts |= {name: Path(given["path"]) for name, given in answer.envelope["outputs"].items()}
        following = _choose_next(stage, answer.envelope["result"], taken)
        stage = stages[following] if following else None
    outcome.ended = stage.end.status if stage and stage.end else "completed"
    return outcome


def _choose_next(stage: Stage, result: dict[str, Any], taken: dict[tuple[str, str], int]) -> str | None:
    """An edge used up does not hold; `else` holds when no other does."""
    for edge in sorted(stage.next, key=lambda edge: edge.otherwise):
        used_up = edge.max_times is not None and taken.get((stage.id, edge.to), 0) >= edge.max_times
        if not used_up and (edge.when is None or compile_expression(edge.when).holds({"result": result})):
            taken[stage.id, edge.to] = taken.get((stage.id, edge.to), 0) + 1
            return edge.to
    assert not stage.next, f"no edge of {stage.id} holds"
    return None
