"""How a map or a subflow ends before it is through: its parts are cancelled, as many as a decision holds, then it."""

from __future__ import annotations

from services.orchestrator.ending import cancel, fail, from_inside, leave
from services.orchestrator.flow import Stop
from services.orchestrator.run import Execution, Run
from services.orchestrator.subflow import end_flow
from services.orchestrator.turn import Turn


def go_on_stopping(turn: Turn, execution: Execution, how: Stop) -> bool:
    """Cancel its parts as far as there is room; once it has none, it ends."""
    parts = parts_of(turn.run, execution)
    name = execution.stage
    for part in parts:
        if not turn.has_room:
            return True
        cancel(turn, part, f"`{name}` ends: {how.reason}" if how.reason else f"`{name}` ends")
    if parts_of(turn.run, execution):
        return True
    if how.told:
        cancel(turn, execution, how.reason)
    elif how.status == "completed":
        end_flow(turn, execution)
    elif how.status == "failed":
        fail(turn, execution, how.code, how.reason)
    else:
        leave(turn, execution, "cancelled", how.code, how.reason)
    return True


def parts_of(run: Run, execution: Execution) -> list[Execution]:
    """All that is under way inside a map or a subflow, the innermost first."""
    whole = execution.task_id
    return from_inside(e for e in run.open.values() if any(owner.task_id == whole for owner in run.owners_of(e)))
