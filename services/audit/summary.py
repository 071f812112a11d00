"""What a record says, in one line for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bus.record import Record
from services.audit.progress import hex_of

LINE_CHARS_MAX = 300


def summarise(record: Record) -> str:
    """One line: the names that matter, then the reasons."""
    write = _LINES.get(type(record).__name__, _default)
    return " ".join(write(record).split())[:LINE_CHARS_MAX]


def _default(record: Any) -> str:
    """Whatever of the usual fields it has."""
    names = [str(value) for name in _USUAL if (value := getattr(record, name, ""))]
    return _because(" ".join(names), record)


_USUAL = ("stage", "profession", "name", "instance_id", "node_id", "subject", "rule", "signal", "status", "code")


def _because(line: str, record: Any) -> str:
    reason = getattr(record, "reason", "")
    return f"{line}: {reason}" if line and reason else line or reason


def _stage(record: Any) -> str:
    """`stage`, with its execution from the second on and its item in a map."""
    again = f" #{record.execution}" if record.execution > 1 else ""
    item = f"[{record.item}]" if getattr(record, "item", -1) >= 0 else ""
    return f"{record.stage}{item}{again}"


def _written(record: Any) -> str:
    outputs = ", ".join(f"{each.name} v{each.version} {hex_of(each.digest)[:8]}" for each in record.outputs)
    return f" -> {outputs}" if outputs else ""


def _run_started(record: Any) -> str:
    inputs = ", ".join(f"{each.name} {hex_of(each.digest)[:8]}" for each in record.inputs)
    origin = f", a fork of {record.fork.run_id} at {record.fork.offset}" if record.fork else ""
    return f"{record.run_id} of {record.workflow_id}{origin}" + (f" with {inputs}" if inputs else "")


def _fork_requested(record: Any) -> str:
    again = f" #{record.execution}" if record.execution else ""
    return f"{record.run_id} at " + (f"{record.stage}{again}" if record.stage else f"offset {record.offset}")


def _state_reused(record: Any) -> str:
    """How often which stages had run, and which versions stand."""
    stages = ", ".join(f"{each.stage} x{each.executions}" for each in record.stages)
    versions = ", ".join(f"{each.artifact.name} v{each.artifact.version}" for each in record.artifacts)
    return "; ".join(part for part in (stages, versions) if part)


def _task_requested(record: Any) -> str:
    again = f", attempt {record.attempt}" if record.attempt > 1 else ""
    return f"{_stage(record.work)}{again}" + (f" for a {record.work.profession}" if record.work.profession else "")


def _task_assigned(record: Any) -> str:
    reasons = "; ".join(f"{r.part} {r.score:g}" + (f" ({r.note})" if r.note else "") for r in record.reasons)
    others = ", ".join(f"{c.instance_id} {c.score:g}" + (f" ({c.note})" if c.note else "") for c in record.runners_up)
    line = f"{_stage(record.work)} to {record.instance_id} on {record.node_id}"
    return line + _picked(record.pick) + (f": {reasons}" if reasons else "") + (f"; before {others}" if others else "")


def _picked(pick: Any) -> str:
    """How a profession was found for a task that names none."""
    if pick is None:
        return ""
    ranked = ", ".join(f"{fit.profession} {fit.score:g}" for fit in pick.ranked[:3])
    return f" (chosen by {pick.chosen_by} of {ranked})" if pick.chosen_by else f" (as {ranked})"


def _tranche(record: Any) -> str:
    amounts = [("tokens", record.tokens), ("cost_micros", record.cost_micros)]
    told = " and ".join(f"{amount} {unit}" for unit, amount in amounts if amount >= 0) or "no limit"
    return f"tranche {record.number}: {told}" + (", the last" if getattr(record, "final", False) else "")


def _usage_reported(record: Any) -> str:
    usage = record.usage
    used = f"{usage.input_tokens + usage.output_tokens} tokens and {usage.cost_micros} cost_micros"
    return f"of tranche {record.number}: {used if record.known else 'nobody knows how much'}"


def _stage_completed(record: Any) -> str:
    tries = f" in {record.attempts} attempts" if record.attempts > 1 else ""
    return f"{_stage(record)}{tries}{_written(record)}"


def _stage_ended(record: Any) -> str:
    return _because(f"{_stage(record)} {record.status}{_written(record)}", record)


def _attempt_failed(record: Any) -> str:
    after = ", will be tried again" if record.retry_at_ms else ""
    return f"{_stage(record)} ({record.code}): {record.reason}{after}"


def _task_completed(record: Any) -> str:
    result = f" {record.result}" if record.result != "{}" else ""
    return f"{record.stage} by {record.instance_id}{result}"


def _message_sent(record: Any) -> str:
    message = record.message
    line = f"{message.message_type} from {message.source_instance} to {message.target_instance}"
    again = f", round {record.round}" if record.round > 1 else ""
    return f"{line}{again}, {len(record.deliveries)} deliveries"


_LINES: Mapping[str, Callable[[Any], str]] = {
    "RunRequested": lambda record: f"{record.workflow_id} in {record.workspace_id}",
    "RunStarted": _run_started,
    "RunForkRequested": _fork_requested,
    "ForkPlanned": lambda record: f"{record.fork.run_id} at {record.fork.offset}",
    "StateReused": _state_reused,
    "RunEnded": lambda record: _because(record.status, record),
    "TaskRequested": _task_requested,
    "TaskAssigned": _task_assigned,
    "TaskQueued": lambda record: f"{_stage(record.work)}: {record.reason}",
    "TaskDoubted": lambda record: f"{_stage(record.work)}: {record.reason}",
    "TaskCompleted": _task_completed,
    "TrancheGranted": _tranche,
    "TrancheSettled": _tranche,
    "UsageReported": _usage_reported,
    "BudgetCrossed": lambda record: f"{record.subject} at {record.percent} %: {record.spent} of {record.limit}",
    "StageStarted": _stage,
    "StageCompleted": _stage_completed,
    "StageEnded": _stage_ended,
    "AttemptFailed": _attempt_failed,
    "TasksSettled": lambda record: f"{len(record.attempts)} attempts",
    **dict.fromkeys(
        ("TaskMessageRequested", "EventMessageRequested", "DataMessageRequested", "ReviewMessageRequested"),
        lambda record: f"{record.message_type} to {record.target_instance}",
    ),
    "ScheduledRunRequested": lambda record: f"{record.run_id} by the schedule {record.schedule_id}",
    "ScheduledRunEnded": lambda record: f"{record.run_id} of the schedule {record.schedule_id}: {record.status}",
    **dict.fromkeys(
        ("ScheduleCreated", "ScheduledRunQueued", "ScheduledRunCancelled"), lambda record: record.schedule_id
    ),
    "ScheduleChanged": lambda record: _because(f"{record.schedule_id} {record.status}", record),
    "ScheduledRunSkipped": lambda record: _because(record.schedule_id, record),
    "MessageSent": _message_sent,
    "MessageReceived": lambda record: f"{record.message_id[:12]} by {record.instance_id}",
    "MessageAcknowledged": lambda record: f"{record.message_id[:12]} by {record.instance_id}",
    "MessageExpired": lambda record: f"{record.message_id[:12]}: {record.reason}",
    "RosterChanged": lambda record: _because(f"{record.instance_id} {record.status}", record),
}
