"""How a run that failed or was cancelled undoes what had completed: one stage after the other, the last one first.

Nothing else of the run is under way meanwhile. A fork undoes what it ran itself, not what it took over.
"""

from __future__ import annotations

from services.orchestrator.asking import missing_inputs, request
from services.orchestrator.end_facts import REASON_CHARS_MAX, ended
from services.orchestrator.run import Run, task_id_of
from services.orchestrator.turn import Turn
from services.orchestrator.waiting import HUMAN, wait


def has_to_undo(run: Run, status: str) -> bool:
    """Whether a run that ends so has something to undo."""
    return status != "completed" and bool(run.inner.undo.stages)


def undo_next(turn: Turn) -> None:
    """Begin the stage that undoes the last one to complete; without its inputs it fails."""
    run = turn.run
    name = turn.stage(run.inner.undo.last()).compensate
    assert name is not None, "only what has a compensation is kept to be undone"
    stage, state = turn.stage(name), run.game.stages.get(name)
    number = state.executions + 1 if state else 1
    if missing := missing_inputs(run, stage):
        wait(turn, stage, number, -1)
        execution = turn.run.open[task_id_of(run.run_id, name, number)]
        reason = f"`{name}` lacks its input {' and '.join(f'`{each}`' for each in missing)}"
        turn.add(ended(turn, execution, "failed", "input_missing", reason))
    elif stage.agent == HUMAN:
        wait(turn, stage, number, -1, "person", until_ms=turn.now_ms + stage.timeout_ms if stage.timeout_ms else 0)
    else:
        request(turn, stage, number, -1, attempt=1)


def reason_of(run: Run) -> str:
    """Why the run ended, and what became of its compensations."""
    undo = run.inner.undo
    if not undo.done and not undo.failed:
        return run.reason
    said = "1 stage was undone" if undo.done == 1 else f"{undo.done} stages were undone"
    if undo.failed:
        said += f"; {' and '.join(f'`{name}`' for name in undo.failed)} failed to undo"
    return f"{run.reason[: REASON_CHARS_MAX - len(said) - 2]}; {said}"
