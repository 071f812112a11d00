"""What facts change in what a run has to undo, and in how far that is."""

from __future__ import annotations

from services.orchestrator.flow import Undo
from services.orchestrator.run import Run
from services.records.task import StageCompleted, StageEnded


def undoing(run: Run, task_id: str) -> Run:
    """The run after a task began; in one that ends it undoes the stage that completed last."""
    undo = run.inner.undo
    if not run.ending or not undo.stages:
        return run
    return _with(run, undo._replace(stages=undo.stages.delete(undo.last()), task=task_id))


def undone(run: Run, end: StageCompleted | StageEnded) -> Run:
    """The run after an execution ended: it is one to undo, or has undone another, or neither."""
    undo, completed = run.inner.undo, isinstance(end, StageCompleted)
    if undo.task and undo.task == end.task_id:
        failed = undo.failed if completed else (*undo.failed, end.stage)
        return _with(run, undo._replace(task="", done=undo.done + completed, failed=failed))
    if isinstance(end, StageCompleted) and end.compensation:
        count = undo.completed + 1
        return _with(run, undo._replace(stages=undo.stages.set(end.stage, count), completed=count))
    return run


def _with(run: Run, undo: Undo) -> Run:
    return run._replace(inner=run.inner._replace(undo=undo))
