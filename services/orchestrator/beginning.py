"""How an execution of a stage begins, by the kind of the stage, and how its attempts are asked for."""

from __future__ import annotations

import json

from services.definitions.stage import Stage
from services.orchestrator.ending import complete, end_run, fail
from services.orchestrator.run import CANCELLED, DUE, WAITING, Run, attempt_id_of, task_id_of
from services.orchestrator.turn import Turn
from services.records.content import Artifact, Read, Work
from services.records.task import ReviewRequested, StageStarted, TaskRequested

HUMAN = "human"


def begin(turn: Turn, name: str, number: int) -> None:
    """Say that an execution begins."""
    stage = turn.stage(name)
    missing = missing_inputs(turn.run, stage)
    if missing:
        _start(turn, stage, number)
        reason = f"`{name}` lacks its input {' and '.join(f'`{each}`' for each in missing)}"
        _later_fail(turn, name, number, "input_missing", reason)
    elif stage.kind == "end":
        _start(turn, stage, number)
        turn.later(lambda: _end(turn, stage, number))
    elif stage.kind == "wait":
        _begin_wait(turn, stage, number)
    elif stage.kind == "review":
        _begin_review(turn, stage, number)
    elif stage.agent == HUMAN:
        until_ms = turn.now_ms + stage.timeout_ms if stage.timeout_ms else 0
        _start(turn, stage, number, "person", until_ms)
    elif stage.mutex and _is_held(turn, stage.mutex):
        _start(turn, stage, number, f"mutex:{stage.mutex}")
    else:
        request(turn, name, number, attempt=1)


def request(turn: Turn, name: str, number: int, *, attempt: int) -> None:
    """Ask the roster for an attempt."""
    run, stage = turn.run, turn.stage(name)
    task_id = task_id_of(run.run_id, name, number)
    state = run.game.stages.get(name)
    turn.add(
        TaskRequested(
            workspace_id=run.workspace_id,
            task_id=task_id,
            attempt=attempt,
            attempt_id=attempt_id_of(task_id, attempt),
            work=Work(
                run_id=run.run_id,
                stage=name,
                execution=number,
                ordinal=(state.attempts if state else 0) + 1,
                profession=stage.profession or "",
                agent=stage.agent or "",
                parameters=turn.definition.parameters[name],
                inputs=inputs_of(run, stage),
                outputs=tuple([output.name for output in stage.output]),
                skills=stage.skills,
                queue_timeout_ms=stage.queue_timeout_ms or 0,
                priority=stage.priority,
                instructions=stage.instructions or stage.description or "",
                **({"timeout_ms": stage.timeout_ms} if stage.timeout_ms else {}),
            ),
        )
    )


def resume(turn: Turn, name: str, number: int) -> None:
    """Ask for the first attempt of an execution that has waited for a mutex."""
    execution = turn.execution(name, number)
    if execution is not None and execution.status == WAITING:
        request(turn, name, number, attempt=1)


def inputs_of(run: Run, stage: Stage) -> tuple[Artifact, ...]:
    """The newest versions of what a stage reads; what is optional may be absent."""
    found = [run.artifacts.get(part.name) for part in stage.input]
    return tuple([artifact for artifact in found if artifact is not None])


def missing_inputs(run: Run, stage: Stage) -> list[str]:
    """What a stage must have and there is none of."""
    return [part.name for part in stage.input if not part.optional and part.name not in run.artifacts]


def _start(turn: Turn, stage: Stage, number: int, waits_for: str = "", until_ms: int = 0) -> None:
    run = turn.run
    turn.add(
        StageStarted(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=stage.id,
            execution=number,
            task_id=task_id_of(run.run_id, stage.id, number),
            waits_for=waits_for,
            until_ms=until_ms,
            detail=_detail(stage),
        )
    )


def _detail(stage: Stage) -> str:
    detail = {"kind": stage.kind, "name": stage.name, "choice": stage.choice}
    if stage.agent == HUMAN:
        detail |= {"agent": HUMAN, "instructions": stage.instructions or stage.description}
    return json.dumps({key: value for key, value in detail.items() if value}, ensure_ascii=False)


def _later_fail(turn: Turn, name: str, number: int, code: str, reason: str) -> None:
    def act() -> None:
        execution = turn.execution(name, number)
        if execution is not None and execution.status != CANCELLED:
            fail(turn, execution, code, reason)

    turn.later(act)


def _end(turn: Turn, stage: Stage, number: int) -> None:
    execution = turn.execution(stage.id, number)
    if execution is None or execution.status == CANCELLED:
        return
    complete(turn, execution, "{}")
    status = stage.end.status if stage.end else "completed"
    if turn.is_live:
        end_run(turn, status, f"`{stage.id}` ends the run")


def _begin_wait(turn: Turn, stage: Stage, number: int) -> None:
    wait = stage.wait
    assert wait is not None, "validation requires a wait of every stage of this kind"
    if wait.signal is not None:
        _start(turn, stage, number, f"signal:{wait.signal}")
    elif wait.stage is not None:
        _start(turn, stage, number, f"stage:{wait.stage}")
        awaited = turn.run.game.stages.get(wait.stage)
        if awaited is not None and awaited.completed:
            turn.later(lambda: trigger(turn, stage.id, number, json.dumps({"stage": wait.stage})))
    else:
        until_ms = wait.until_ms if wait.until_ms is not None else turn.now_ms + (wait.for_ms or 0)
        _start(turn, stage, number, "time", max(until_ms, 1))


def trigger(turn: Turn, name: str, number: int, result: str) -> None:
    """What a wait was for has come."""
    execution = turn.execution(name, number)
    if execution is not None and execution.status == WAITING:
        complete(turn, execution, result)


def _begin_review(turn: Turn, stage: Stage, number: int) -> None:
    run, review = turn.run, stage.review
    assert review is not None, "validation requires a review of every stage of this kind"
    _start(turn, stage, number, "review")
    turn.add(
        ReviewRequested(
            workspace_id=run.workspace_id,
            review_id=task_id_of(run.run_id, stage.id, number),
            run_id=run.run_id,
            stage=stage.id,
            execution=number,
            by=review.by,
            quorum=review.quorum,
            subject=tuple([reading(artifact) for artifact in inputs_of(run, stage)]),
            timeout_ms=review.timeout_ms or 0,
            on_timeout=review.on_timeout.action,
            escalate_to=review.on_timeout.to or "",
        )
    )


def reading(artifact: Artifact) -> Read:
    """What it is to have read an artifact."""
    return Read(name=artifact.name, version=artifact.version, digest=artifact.digest)


def _is_held(turn: Turn, mutex: str) -> bool:
    """Whether an execution holds this mutex or waits for it; one that is only due does neither yet."""
    under = (e for name in turn.definition.mutexes[mutex] for e in turn.run.executions_of(name))
    return any(execution.status != DUE for execution in under)
