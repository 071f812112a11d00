"""Says what is due in a run, one thing after the other."""

from __future__ import annotations

from services.orchestrator.beginning import begin, resume, trigger
from services.orchestrator.ending import cancel, pass_over, say_passed
from services.orchestrator.run import CANCELLED, WAITING
from services.orchestrator.turn import Entry, Turn

NEEDLESS = "another stage made it needless"


def say(turn: Turn, due: Entry) -> None:
    """Say what the token game concluded at once; what leads to further conclusions waits until that is said."""
    execution = turn.execution(due.stage, due.execution)
    if execution is not None and execution.status == CANCELLED:
        cancel(turn, execution, NEEDLESS)
        return
    match due.what:
        case "begin":
            begin(turn, due.stage, due.execution)
        case "skip":
            say_passed(turn, due.stage, due.execution, "skipped", "no branch to it was taken")
        case "cancel":
            if execution is not None:
                cancel(turn, execution, NEEDLESS)
            else:
                say_passed(turn, due.stage, due.execution, "cancelled", NEEDLESS)
        case "resume":
            resume(turn, due.stage, due.execution)
        case "trigger":
            turn.later(lambda: trigger(turn, due.stage, due.execution, due.detail))
        case "pass":
            turn.later(lambda: _pass(turn, due))
        case _:
            raise ValueError(f"nothing is known of {due.what!r}, which is due for {due.stage}")


def _pass(turn: Turn, due: Entry) -> None:
    execution = turn.execution(due.stage, due.execution)
    if execution is not None and execution.status == WAITING:
        pass_over(turn, execution, f"`{due.detail}` was triggered first")
