"""How an execution of a stage begins, by the kind of the stage."""

from __future__ import annotations

import json

from services.definitions.stage import Stage
from services.orchestrator.asking import artifacts_of, missing_inputs, request
from services.orchestrator.ending import complete, end_all, fail
from services.orchestrator.flow import Flow
from services.orchestrator.mapping import begin_map
from services.orchestrator.run import CANCELLED, WAITING, Execution, task_id_of
from services.orchestrator.subflow import begin_flow
from services.orchestrator.turn import Turn
from services.orchestrator.waiting import HUMAN, wait
from services.records.content import Artifact, Read
from services.records.task import ReviewRequested


def begin(turn: Turn, name: str, number: int, item: int) -> None:
    """Say that an execution begins, or waits for a mutex before."""
    stage = turn.stage(name)
    missing = missing_inputs(turn.flow(name, item), stage)
    if missing:
        wait(turn, stage, number, item)
        reason = f"`{name}` lacks its input {' and '.join(f'`{each}`' for each in missing)}"
        _later_fail(turn, name, number, item, "input_missing", reason)
        return
    taken, mutexes = _line_up(turn, stage, number, item) if name in turn.definition.mutexes else ("", ())
    if taken:
        wait(turn, stage, number, item, f"mutex:{taken}", mutexes=mutexes)
    else:
        _begin(turn, stage, number, item, mutexes)


def resume(turn: Turn, name: str, number: int, item: int) -> None:
    """Begin an execution that has waited for a mutex, unless it is to be cancelled with what it is in."""
    execution = turn.execution(name, number, item)
    if execution is not None and execution.status == WAITING and not turn.run.is_stopping(execution):
        begin(turn, name, number, item)


def _line_up(turn: Turn, stage: Stage, number: int, item: int) -> tuple[str, tuple[str, ...]]:
    """The first mutex of the stage that another execution has, and those to hold, or wait for, until then.

    What something has that the execution is a part of, it has too.
    """
    run, mutexes = turn.run, list[str]()
    task_id = task_id_of(run.run_id, stage.id, number, item)
    itself = Execution(stage=stage.id, number=number, task_id=task_id, order=0, item=item)
    inherited = {name for owner in run.owners_of(itself) for name in owner.mutexes}
    for name in turn.definition.mutexes[stage.id]:
        if name in inherited:
            continue
        mutexes.append(name)
        queue = run.inner.mutexes.get(name, ())
        if queue and queue[0] != task_id:
            return name, tuple(mutexes)
    return "", tuple(mutexes)


def _begin(turn: Turn, stage: Stage, number: int, item: int, mutexes: tuple[str, ...]) -> None:
    if stage.kind == "end":
        wait(turn, stage, number, item)
        turn.later(lambda: _end(turn, stage, number, item))
    elif stage.kind == "wait":
        _begin_wait(turn, stage, number, item, mutexes)
    elif stage.kind == "review":
        _begin_review(turn, stage, number, item, mutexes)
    elif stage.map is not None:
        begin_map(turn, stage, number, item, mutexes)
    elif stage.kind == "subflow":
        begin_flow(turn, stage, number, item, mutexes)
    elif stage.agent == HUMAN:
        until_ms = turn.now_ms + stage.timeout_ms if stage.timeout_ms else 0
        wait(turn, stage, number, item, "person", until_ms=until_ms, mutexes=mutexes)
    else:
        request(turn, stage, number, item, attempt=1, mutexes=mutexes)


def _later_fail(turn: Turn, name: str, number: int, item: int, code: str, reason: str) -> None:
    def act() -> None:
        execution = turn.execution(name, number, item)
        if execution is not None and execution.status != CANCELLED and not turn.run.is_stopping(execution):
            fail(turn, execution, code, reason)

    turn.later(act)


def _end(turn: Turn, stage: Stage, number: int, item: int) -> None:
    execution = turn.execution(stage.id, number, item)
    if execution is None or execution.status == CANCELLED or turn.run.is_stopping(execution):
        return
    complete(turn, execution, "{}")
    status = stage.end.status if stage.end else "completed"
    if turn.is_live:
        what = "the subflow" if isinstance(turn.flow(stage.id, item), Flow) else "the run"
        end_all(turn, execution, status, status, f"`{stage.id}` ends {what}")


def _begin_wait(turn: Turn, stage: Stage, number: int, item: int, mutexes: tuple[str, ...]) -> None:
    awaited = stage.wait
    assert awaited is not None, "validation requires a wait of every stage of this kind"
    if awaited.signal is not None:
        wait(turn, stage, number, item, f"signal:{awaited.signal}", mutexes=mutexes)
    elif awaited.stage is not None:
        wait(turn, stage, number, item, f"stage:{awaited.stage}", mutexes=mutexes)
        state = turn.flow(stage.id, item).game.stages.get(awaited.stage)
        if state is not None and state.completed:
            result = json.dumps({"stage": awaited.stage.rpartition("/")[2]})
            turn.later(lambda: trigger(turn, stage.id, number, item, result))
    else:
        until_ms = awaited.until_ms if awaited.until_ms is not None else turn.now_ms + (awaited.for_ms or 0)
        kind = "time" if awaited.until_ms is None else "date"
        wait(turn, stage, number, item, kind, until_ms=max(until_ms, 1), mutexes=mutexes)


def trigger(turn: Turn, name: str, number: int, item: int, result: str) -> None:
    """What a wait was for has come."""
    execution = turn.execution(name, number, item)
    if execution is not None and execution.status == WAITING and not turn.run.is_stopping(execution):
        complete(turn, execution, result)


def _begin_review(turn: Turn, stage: Stage, number: int, item: int, mutexes: tuple[str, ...]) -> None:
    run, review = turn.run, stage.review
    assert review is not None, "validation requires a review of every stage of this kind"
    wait(turn, stage, number, item, "review", mutexes=mutexes)
    turn.add(
        ReviewRequested(
            workspace_id=run.workspace_id,
            review_id=task_id_of(run.run_id, stage.id, number, item),
            run_id=run.run_id,
            stage=stage.id,
            execution=number,
            by=review.by,
            quorum=review.quorum,
            subject=tuple([reading(artifact) for artifact in artifacts_of(turn.flow(stage.id, item), stage)]),
            timeout_ms=review.timeout_ms or 0,
            on_timeout=review.on_timeout.action,
            escalate_to=review.on_timeout.to or "",
        )
    )


def reading(artifact: Artifact) -> Read:
    """What it is to have read an artifact."""
    return Read(name=artifact.name, version=artifact.version, digest=artifact.digest)
