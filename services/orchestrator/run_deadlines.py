"""The deadlines of runs by name: of the whole run, of waits and retries, and to go on with what is due."""

from __future__ import annotations

from bus.deadline import Deadlines

RUN, WAIT, RETRY, GO_ON = "timeout", "wait", "retry", "go-on"


def name_of(kind: str, run_id: str, task_id: str = "") -> str:
    """The name of a deadline."""
    return f"{kind}/{run_id}/{task_id}"


def parts_of(name: str) -> tuple[str, str, str]:
    """Kind, run and task of a deadline."""
    kind, run_id, task_id = name.split("/", 2)
    return kind, run_id, task_id


def set_if(deadlines: Deadlines, name: str, at_ms: int) -> Deadlines:
    """With this deadline, or without it if the time is 0."""
    return deadlines.set(name, at_ms) if at_ms else deadlines.clear(name)
