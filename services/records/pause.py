"""Pauses of runs on the TaskChannel, and the cancel of one task."""

from bus.record import Ask, Fact, Record


class RunPauseRequested(Ask, channel="task", scope="runs:write"):
    """Let nothing new begin in a run; what is under way ends and counts, and the run's time stands still."""

    workspace_id: str
    run_id: str
    reason: str = ""


class RunResumeRequested(Ask, channel="task", scope="runs:write"):
    """Let a paused run go on."""

    workspace_id: str
    run_id: str


class TaskCancelRequested(Ask, channel="task", scope="runs:write"):
    """End one execution of a stage without a result; what it led to is skipped."""

    workspace_id: str
    run_id: str
    task_id: str
    reason: str = ""


class RunPaused(Fact, channel="task"):
    """Nothing begins in the run from here on."""

    workspace_id: str
    run_id: str
    ask_id: str
    actor: str = ""
    reason: str = ""


class RunResumed(Fact, channel="task"):
    """The run goes on; what was left of its times is left now."""

    workspace_id: str
    run_id: str
    ask_id: str
    actor: str = ""


RECORDS: tuple[type[Record], ...] = (RunPauseRequested, RunResumeRequested, TaskCancelRequested, RunPaused, RunResumed)
