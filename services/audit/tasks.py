"""The tasks that wait for a person, as their records show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass

from bus.record import Envelope, Record
from services.records.task import RunEnded, StageCompleted, StageEnded, StageStarted

TASKED: tuple[type[Record], ...] = (StageStarted, StageCompleted, StageEnded, RunEnded)
"""What the list of tasks is folded from."""

PERSON = "person"
"""What the stages of these tasks wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task that waits for a person."""

    task_id: str
    run_id: str
    workspace_id: str
    stage: str
    execution: int
    since_ms: int
    until_ms: int
    instructions: str = ""


def fold_tasks(envelopes: Iterable[Envelope]) -> dict[str, Task]:
    """Every open task by its id, the oldest first."""
    found: dict[str, Task] = {}
    for envelope in envelopes:
        apply(found, envelope)
    return found


def apply(found: MutableMapping[str, Task], envelope: Envelope) -> None:
    """Take one record in."""
    record = envelope.record
    match record:
        case StageStarted(waits_for=waits_for) if waits_for == PERSON:
            found[record.task_id] = _opened(record, envelope.time_ms)
        case StageCompleted() | StageEnded():
            found.pop(record.task_id, None)
        case RunEnded():
            for task_id in [task_id for task_id, task in found.items() if task.run_id == record.run_id]:
                del found[task_id]


def _opened(record: StageStarted, time_ms: int) -> Task:
    return Task(
        task_id=record.task_id,
        run_id=record.run_id,
        workspace_id=record.workspace_id,
        stage=record.stage,
        execution=record.execution,
        since_ms=time_ms,
        until_ms=record.until_ms,
        instructions=json.loads(record.detail).get("instructions", ""),
    )


def describe(task: Task) -> dict[str, object]:
    """One line of `tasks list --json`."""
    return {
        "task_id": task.task_id,
        "run_id": task.run_id,
        "stage": task.stage,
        "execution": task.execution,
        "workspace_id": task.workspace_id,
        "since": task.since_ms,
        "until": task.until_ms or None,
        "instructions": task.instructions or None,
    }
