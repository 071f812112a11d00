"""The `command` agent: any program that reads its task as JSON on stdin and prints its answer as the last line."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.factory.agents.conversation import MESSAGES
from services.factory.agents.envelope import ENVELOPE_BYTES_MAX, EnvelopeBroken, parse_envelope, read_envelope
from services.factory.agents.port import Assignment, Outcome
from services.factory.agents.printed import Stdout
from services.factory.agents.program import CommandBroken, surround


class CommandDialect:
    """One attempt of a program that the stage names."""

    has_line = False
    provider = ""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.command, parameters = read_command(assignment.parameters)
        self.environment = surround(assignment, assignment.home)
        self.stdin = write_task(assignment, parameters)

    @property
    def spent(self) -> Mapping[str, int]:
        return {}

    def hear(self, line: bytes) -> int | None:
        """Only the last line matters."""

    def conclude(self, stdout: Stdout) -> Outcome:
        return read_last_line(stdout, self._assignment)


def read_command(parameters: str) -> tuple[list[str], dict[str, Any]]:
    """The program with its arguments, and all parameters."""
    found = json.loads(parameters)
    command = found.get("command") if isinstance(found, dict) else None
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise CommandBroken('the stage\'s "with" must hold "command": [program, argument …], all of them texts')
    if any("\0" in part for part in command) or not command[0]:
        raise CommandBroken("the command must start with a program, and no part of it may hold a null character")
    return command, found


def write_task(assignment: Assignment, parameters: Mapping[str, Any]) -> bytes:
    """The task as a program reads it."""
    deadline = datetime.fromtimestamp(assignment.deadline_ms / 1000, UTC).isoformat(timespec="milliseconds")
    task: dict[str, Any] = {
        "run_id": assignment.run_id,
        "stage": assignment.stage,
        "execution": assignment.execution,
        "task_id": assignment.task_id,
        "attempt_id": assignment.attempt_id,
        "profession": assignment.profession,
        "inputs": {
            name: {"path": each.path, "sha256": each.digest.removeprefix("sha256:"), "media_type": each.media_type}
            for name, each in assignment.inputs.items()
        },
        "outputs": {name: {"path": path} for name, path in assignment.outputs.items()},
        "messages": {"path": str(Path(assignment.directory) / MESSAGES)},
        "parameters": parameters,
        "deadline": deadline.replace("+00:00", "Z"),
    }
    if assignment.feedback:
        task["feedback"] = assignment.feedback
    return json.dumps(task, ensure_ascii=False).encode(errors="replace") + b"\n"


def read_last_line(stdout: Stdout, assignment: Assignment) -> Outcome:
    """The outcome that the last line on stdout states."""
    if stdout.answer_length > ENVELOPE_BYTES_MAX:
        raise EnvelopeBroken(f"the last line on stdout has {stdout.answer_length} bytes, over {ENVELOPE_BYTES_MAX}")
    if not stdout.answer:
        raise EnvelopeBroken("nothing was printed on stdout; the last line must be the answer as a JSON object")
    return read_envelope(parse_envelope(stdout.answer), assignment.outputs)
