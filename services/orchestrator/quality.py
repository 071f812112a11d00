"""Quality: a result that states less than its worker's profession asks for is sent back once, then it is a failure."""

from __future__ import annotations

from services.orchestrator.end_facts import Account
from services.orchestrator.ending import fail, say_failed
from services.orchestrator.run import QUALITY, Execution
from services.orchestrator.turn import Turn


def find_fault(quality: float, threshold: float) -> str:
    """Why a result is not good enough by its own word; one that states no quality is taken as it is."""
    if not 0 <= quality < threshold:
        return ""
    return f"the result states a quality of {quality:g}, below the {threshold:g} that its profession asks for"


def send_back(turn: Turn, execution: Execution, fault: str, account: Account) -> None:
    """Have it done once more at once, whatever the stage says of retries, and tell why; the second time it fails."""
    if execution.sent_back:
        fail(turn, execution, QUALITY, f"{fault}; it had been sent back once", account)
    else:
        say_failed(turn, execution, QUALITY, fault, turn.now_ms)
