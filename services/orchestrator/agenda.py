"""Says what is due in a run, one thing after the other, and goes on with what has parts."""

from __future__ import annotations

from services.orchestrator.beginning import begin, resume, trigger
from services.orchestrator.ending import cancel, leave, say_passed, stop
from services.orchestrator.mapping import begin_anew, go_through
from services.orchestrator.run import CANCELLED, WAITING, Execution
from services.orchestrator.stopping import go_on_stopping
from services.orchestrator.subflow import end_flow
from services.orchestrator.turn import Entry, Turn

NEEDLESS = "another stage made it needless"


def say(turn: Turn, due: Entry) -> None:
    """Say what the token game concluded at once; what leads to further conclusions waits until that is said."""
    execution = turn.execution(due.stage, due.execution, due.item)
    if execution is not None and (execution.status == CANCELLED or due.what == "cancel"):
        _cancel(turn, execution)
        return
    if execution is not None and turn.run.is_stopping(execution):
        cancel(turn, execution, NEEDLESS)  # whatever is due of it, so that it is due no longer
        return
    match due.what:
        case "begin":
            if turn.run.is_item(due.stage, due.item):
                begin_anew(turn, due.stage, due.execution, due.item)
            else:
                begin(turn, due.stage, due.execution, due.item)
        case "skip":
            say_passed(turn, due, "skipped", "no branch to it was taken")
        case "cancel":
            say_passed(turn, due, "cancelled", NEEDLESS)
        case "resume":
            resume(turn, due.stage, due.execution, due.item)
        case "trigger":
            turn.later(lambda: trigger(turn, due.stage, due.execution, due.item, due.detail))
        case "pass":
            turn.later(lambda: _pass(turn, due))
        case _:
            raise ValueError(f"nothing is known of {due.what!r}, which is due for {due.stage}")


def _cancel(turn: Turn, execution: Execution) -> None:
    if execution.parts is None:
        cancel(turn, execution, NEEDLESS)
    else:
        stop(turn, execution, "cancelled", "cancelled", NEEDLESS, told=True)


def _pass(turn: Turn, due: Entry) -> None:
    execution = turn.execution(due.stage, due.execution, due.item)
    if execution is not None and execution.status == WAITING and not turn.run.is_stopping(execution):
        leave(turn, execution, "skipped", "not_chosen", f"`{due.detail}` was triggered first")


def advance(turn: Turn, execution: Execution) -> bool:
    """Go one step on with a map or a subflow; False if it lacks a content that the next decision has."""
    parts = execution.parts
    assert parts is not None, "only what has parts is ready"
    if parts.stop is not None:
        return go_on_stopping(turn, execution, parts.stop)
    if parts.items is not None:
        return go_through(turn, execution)
    return end_flow(turn, execution)
