"""What else follows from the end of an execution: choices, waits for its stage, and the next in line for a mutex."""

from __future__ import annotations

import json
from collections.abc import Iterable

from services.orchestrator.definition import Level
from services.orchestrator.run import Execution
from services.orchestrator.turn import Entry, Turn


def follows(turn: Turn, level: Level, execution: Execution, *, completed: bool) -> list[Entry]:
    """The other waits of its choice are skipped, waits for it go on, and the next in line gets its mutex."""
    stage = turn.stage(execution.stage)
    entries: list[Entry] = []
    if stage.choice is not None:
        entries += _losers(turn, execution, level.choices.get(stage.choice, ()))
    if completed and stage.id in level.awaited:
        entries += _awaiting(turn, execution, level.awaited[stage.id])
    if execution.mutexes:
        entries += next_in_line(turn, execution)
    return entries


def _losers(turn: Turn, execution: Execution, stages: Iterable[str]) -> list[Entry]:
    others = _under_way(turn, execution, stages)
    return [_entry(e, "pass", execution.stage) for e in others if e.task_id != execution.task_id]


def _awaiting(turn: Turn, execution: Execution, stages: Iterable[str]) -> list[Entry]:
    name = execution.stage
    result, waits_for = json.dumps({"stage": name.rpartition("/")[2]}), f"stage:{name}"
    return [_entry(e, "trigger", result) for e in _under_way(turn, execution, stages) if e.waits_for == waits_for]


def next_in_line(turn: Turn, execution: Execution) -> list[Entry]:
    """Who goes on when this execution lets go of what it holds."""
    queues, open_ = turn.run.inner.mutexes, turn.run.open
    entries = []
    for name in execution.mutexes:
        queue = queues.get(name, ())
        if queue[:1] == (execution.task_id,) and len(queue) > 1 and open_[queue[1]].waits_for == f"mutex:{name}":
            entries.append(_entry(open_[queue[1]], "resume"))
    return entries


def _under_way(turn: Turn, execution: Execution, stages: Iterable[str]) -> list[Execution]:
    """What is under way of other stages in the same flow, in the order in which it began."""
    found = [other for name in stages for other in turn.run.executions_of(name, execution.item)]
    return sorted(found, key=lambda each: each.order)


def _entry(execution: Execution, what: str, detail: str = "") -> Entry:
    return Entry(execution.stage, execution.number, what, detail, execution.item)
