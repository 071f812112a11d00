"""Pause and resume of a run, and the cancel of one of its tasks.

While a run is paused nothing begins in it, nothing is tried again and no time of it runs: what is concluded is due and
said once it goes on. Attempts that were asked for end, their results count, and so do signals, votes and answers.
"""

from __future__ import annotations

from bus.decider import Draft
from bus.record import Envelope
from services.orchestrator.asked import asked_run, refuse_ask
from services.orchestrator.ending import leave, stop
from services.orchestrator.run import CANCELLED, Runs
from services.orchestrator.turn import Turn
from services.records.pause import RunPaused, RunPauseRequested, RunResumed, RunResumeRequested, TaskCancelRequested


def pause(draft: Draft[Runs], heard: Envelope) -> None:
    """Pause a run, or say why not."""
    asked: RunPauseRequested = heard.record
    run = asked_run(draft, heard, asked.workspace_id, asked.run_id)
    if run is None:
        return
    if run.ending or run.pause is not None:
        why = "is ending already" if run.ending else "is paused already"
        refuse_ask(draft, heard, run.workspace_id, run.run_id, f"the run {run.run_id} {why}")
        return
    draft.add(
        RunPaused(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            ask_id=heard.id,
            actor=asked.actor,
            reason=asked.reason,
        )
    )


def go_on(draft: Draft[Runs], heard: Envelope) -> None:
    """Resume a run, or say why not."""
    asked: RunResumeRequested = heard.record
    run = asked_run(draft, heard, asked.workspace_id, asked.run_id)
    if run is None:
        return
    if run.pause is None:
        refuse_ask(draft, heard, run.workspace_id, run.run_id, f"the run {run.run_id} is not paused")
        return
    draft.add(RunResumed(workspace_id=run.workspace_id, run_id=run.run_id, ask_id=heard.id, actor=asked.actor))


def cancel_task(turn: Turn, heard: Envelope) -> None:
    """End one execution of the run without a result; a map or a subflow ends once its parts have."""
    asked: TaskCancelRequested = heard.record
    run = turn.run
    execution = run.open.get(asked.task_id)
    if run.is_closing or execution is None or execution.status == CANCELLED or run.is_stopping(execution):
        reason = f"no task {asked.task_id} of {run.run_id} is under way"
    elif execution.parts is not None and execution.parts.stop is not None:
        reason = f"the task {asked.task_id} is ending already"
    else:
        said = asked.reason or f"cancelled by {asked.actor or 'somebody'}"
        if execution.parts is not None:
            stop(turn, execution, "cancelled", "cancelled", said, ask_id=heard.id)
        else:
            leave(turn, execution, "cancelled", "cancelled", said, ask_id=heard.id)
        return
    refuse_ask(turn.draft, heard, run.workspace_id, run.run_id, reason)
