"""Why a task went where it went, attempt by attempt, as the records of the roster tell it."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from bus.record import Envelope, Record
from services.records.content import Work
from services.records.task import (
    AttemptCancelled,
    Pick,
    TaskAssigned,
    TaskCompleted,
    TaskDoubted,
    TaskFailed,
    TaskLost,
    TaskQueued,
    TaskRequested,
)

EXPLAINED: tuple[type[Record], ...] = (
    *(TaskRequested, TaskQueued, TaskDoubted, TaskAssigned),
    *(TaskLost, AttemptCancelled, TaskCompleted, TaskFailed),
)
"""What the reasons of a task are folded from."""

_ENDS: dict[type[Record], str] = {
    TaskCompleted: "completed",
    TaskFailed: "failed",
    TaskLost: "lost",
    AttemptCancelled: "cancelled",
}


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One try at the task, and what was decided about it."""

    attempt_id: str
    asked_ms: int
    work: Work
    status: str = "asked"  # then queued, doubted, assigned, completed, failed, lost, cancelled
    waits: list[dict[str, object]] = field(default_factory=list)
    pick: Pick | None = None
    choices: tuple[str, ...] = ()
    assigned: TaskAssigned | None = None
    assigned_ms: int = 0
    ended_ms: int = 0
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Case:
    """A task, and all attempts at it."""

    task_id: str
    run_id: str
    workspace_id: str
    stage: str
    execution: int
    item: int
    asked_ms: int
    attempts: dict[str, Attempt] = field(default_factory=dict)


def fold_cases(envelopes: Iterable[Envelope]) -> dict[str, Case]:
    """Every task by its id, in the order in which they were asked for."""
    found: dict[str, Case] = {}
    for envelope in envelopes:
        apply(found, envelope)
    return found


def apply(found: MutableMapping[str, Case], envelope: Envelope) -> None:
    """Take one record in."""
    record: Any = envelope.record
    if isinstance(record, TaskRequested):
        _open(found, record, envelope.time_ms)
        return
    case = found.get(record.task_id)
    attempt = case.attempts.get(record.attempt_id) if case else None
    if attempt is not None:
        _note(attempt, record, envelope.time_ms)


def _open(found: MutableMapping[str, Case], record: TaskRequested, time_ms: int) -> None:
    work = record.work
    case = found.get(record.task_id)
    if case is None:
        case = Case(
            task_id=record.task_id,
            run_id=work.run_id,
            workspace_id=record.workspace_id,
            stage=work.stage,
            execution=work.execution,
            item=work.item,
            asked_ms=time_ms,
        )
        found[record.task_id] = case
    kept = work.model_copy(update={"inputs": (), "parameters": "{}", "professions": {}})
    case.attempts[record.attempt_id] = Attempt(attempt_id=record.attempt_id, asked_ms=time_ms, work=kept)


def _note(attempt: Attempt, record: Any, time_ms: int) -> None:
    match record:
        case TaskQueued():
            attempt.status, attempt.pick = "queued", record.pick
            attempt.waits.append({"since": time_ms, "reason": record.reason})
        case TaskDoubted():
            attempt.status, attempt.pick, attempt.choices = "doubted", record.pick, record.choices
            attempt.waits.append({"since": time_ms, "reason": record.reason})
        case TaskAssigned():
            attempt.status, attempt.pick, attempt.assigned_ms = "assigned", record.pick, time_ms
            attempt.assigned = record.model_copy(update={"work": attempt.work})
        case _ if not attempt.ended_ms:
            attempt.status, attempt.ended_ms = _ENDS[type(record)], time_ms
            attempt.reason = getattr(record, "reason", "")


def describe(case: Case) -> dict[str, object]:
    """What `clawx why --json` prints."""
    return {
        "task_id": case.task_id,
        "run_id": case.run_id,
        "workspace_id": case.workspace_id,
        "stage": case.stage,
        "execution": case.execution,
        "item": case.item if case.item >= 0 else None,
        "attempts": [_describe(each) for each in case.attempts.values()],
    }


def _describe(attempt: Attempt) -> dict[str, object]:
    work, given = attempt.work, attempt.assigned
    return {
        "attempt_id": attempt.attempt_id,
        "asked": {
            "at": attempt.asked_ms,
            "profession": work.profession or None,
            "skills": dict(sorted(work.skills.items())),
            "agent": work.agent or None,
            "text": work.instructions or None,
            "priority": work.priority,
        },
        "status": attempt.status,
        "waits": attempt.waits,
        "pick": attempt.pick.model_dump(mode="json") if attempt.pick else None,
        "choices": list(attempt.choices),
        "assigned_at": attempt.assigned_ms or None,
        "instance_id": given.instance_id if given else None,
        "node_id": given.node_id if given else None,
        "score": round(sum(reason.score for reason in given.reasons), 3) if given else None,
        "reasons": [reason.model_dump(mode="json") for reason in given.reasons] if given else [],
        "runners_up": [other.model_dump(mode="json") for other in given.runners_up] if given else [],
        "ended_at": attempt.ended_ms or None,
        "end_reason": attempt.reason or None,
    }
