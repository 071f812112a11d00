"""How an execution of a stage ends: completed, failed, passed over or cancelled; and how a run does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from services.definitions.branch import Branch
from services.orchestrator.outputs import Clash, Written, write_outputs
from services.orchestrator.retry import retry_at
from services.orchestrator.run import WORKING, Execution, Run, artifact_of, task_id_of
from services.orchestrator.turn import Entry, Turn
from services.orchestrator.ways import NoWay, Scope, ways_on, ways_out
from services.records.content import RESULT_BYTES_MAX, Artifact, Content, Read, Usage
from services.records.task import (
    ArtifactsConflicted,
    AttemptFailed,
    CancelRequested,
    RunEnded,
    RunEnding,
    StageCompleted,
    StageEnded,
)
from services.records.token import Moves

REASON_CHARS_MAX = 2_000
"""Longest reason that is repeated from a account."""

CANCELLED_MAX = 150
"""Most executions that are cancelled in one decision; each may need two facts."""


class Account(NamedTuple):
    """What is known of how an execution ended: of its attempt, or of the ask; and what else the ask leads to."""

    instance_id: str = ""
    reads: tuple[Read, ...] = ()
    started_at_ms: int = 0
    usage: Usage | None = None
    ask_id: str = ""
    also: tuple[Entry, ...] = ()


NO_ACCOUNT = Account()


def complete(
    turn: Turn,
    execution: Execution,
    result: str,
    contents: tuple[Content, ...] = (),
    account: Account = NO_ACCOUNT,
) -> None:
    """An execution came to its result: judge it, and go on where the edges lead."""
    stage = turn.stage(execution.stage)
    value, fault = _read_result(result)
    written = write_outputs(turn.run, execution, contents, turn.definition.workflow, stage)
    if fault or written.fault:
        fail_attempt(turn, execution, "error", fault or written.fault, account)
        return
    for clash in written.clashes:
        _say_clash(turn, execution, clash)
    fatal = next((clash for clash in written.clashes if clash.policy != "keep_both"), None)
    if fatal is not None:
        fail(turn, execution, "conflict", fatal.reason, account)
        return
    _complete(turn, execution, result, value, written, account)


def _complete(turn: Turn, execution: Execution, result: str, value: Any, written: Written, account: Account) -> None:
    name, run = execution.stage, turn.run
    newer = run._replace(artifacts=run.artifacts.update({each.name: each for each in written.artifacts}))
    number = turn.number(name)
    try:
        ways = ways_on(Scope(newer, turn.definition.graph, turn.now_ms, value), number)
    except NoWay as error:
        fail(turn, execution, "no_way", str(error), account, written.artifacts)
        return
    taken = [branch.index for branch in ways]
    play = turn.play()
    play.end(number, execution.number, taken)
    if others := turn.stage(name).cancel:
        play.cancel(turn.number(other) for other in others)

    def fact(moves: Moves) -> StageCompleted:
        return StageCompleted(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=name,
            execution=execution.number,
            task_id=execution.task_id,
            attempt_id=execution.attempt_id,
            attempts=execution.attempt,
            instance_id=account.instance_id,
            ask_id=account.ask_id,
            result=result,
            outputs=written.artifacts,
            reads=account.reads,
            tokens=turn.tokens(name, taken),
            moves=moves,
            started_at_ms=account.started_at_ms or execution.began_ms,
            usage=account.usage,
        )

    turn.conclude(play, fact, [*_follows(turn, execution, completed=True), *account.also])


def fail_attempt(turn: Turn, execution: Execution, code: str, reason: str, account: Account = NO_ACCOUNT) -> None:
    """An attempt came to nothing: try again, or fail for good."""
    run, stage = turn.run, turn.stage(execution.stage)
    at_ms = 0
    if execution.status == WORKING:
        at_ms = retry_at(stage.retry, code, execution.attempt, execution.attempt_id, turn.now_ms)
    if not at_ms:
        fail(turn, execution, code, reason, account)
        return
    turn.add(
        AttemptFailed(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=execution.stage,
            execution=execution.number,
            task_id=execution.task_id,
            attempt_id=execution.attempt_id,
            code=code,
            reason=reason[:REASON_CHARS_MAX],
            retry_at_ms=at_ms,
        )
    )


def fail(
    turn: Turn,
    execution: Execution,
    code: str,
    reason: str,
    account: Account = NO_ACCOUNT,
    artifacts: tuple[Artifact, ...] = (),
) -> None:
    """An execution failed for good: what follows is what its stage says of errors."""
    stage, number = turn.stage(execution.stage), turn.number(execution.stage)
    ways: list[Branch] = []
    action = stage.on_error.action
    if action == "route":
        error = {"code": code, "reason": reason, "stage": stage.id, "attempts": execution.attempt}
        try:
            ways = ways_out(Scope(turn.run, turn.definition.graph, turn.now_ms, None, error), number)
        except NoWay as nothing:
            action, reason = "fail", f"{reason}; {nothing}"
    if action == "fail":
        turn.add(_ended(turn, execution, "failed", code, reason, account=account, artifacts=artifacts))
        end_run(turn, "failed", f"`{stage.id}` failed: {reason}"[:REASON_CHARS_MAX])
        return
    taken = [branch.index for branch in ways]
    status = "skipped" if action == "skip" else "failed"
    play = turn.play()
    play.end(number, execution.number, taken)
    turn.conclude(
        play,
        lambda moves: _ended(
            turn, execution, status, code, reason, account=account, artifacts=artifacts, taken=taken, moves=moves
        ),
        [*_follows(turn, execution, completed=False), *account.also],
    )


def pass_over(turn: Turn, execution: Execution, reason: str) -> None:
    """An execution that is under way is skipped: another wait of its choice was triggered first."""
    play = turn.play()
    play.end(turn.number(execution.stage), execution.number)
    turn.conclude(play, lambda moves: _ended(turn, execution, "skipped", "not_chosen", reason, moves=moves))


def cancel(turn: Turn, execution: Execution, reason: str) -> None:
    """Say that an execution is cancelled; the roster and the reviews see to whoever works on it."""
    run = turn.run
    turn.add(_ended(turn, execution, "cancelled", "cancelled", reason))
    if execution.attempt_id:
        turn.add(cancelling(run, execution, reason))
    mutex = turn.stage(execution.stage).mutex
    if mutex is not None and turn.is_live:
        for entry in _next_in_line(turn, execution, mutex):
            turn.later(partial(turn.say, entry))


def cancelling(run: Run, execution: Execution, reason: str) -> CancelRequested:
    """What tells the roster that an attempt is no longer wanted."""
    return CancelRequested(
        workspace_id=run.workspace_id,
        run_id=run.run_id,
        task_id=execution.task_id,
        attempt_id=execution.attempt_id,
        reason=reason,
    )


def say_passed(turn: Turn, name: str, number: int, status: str, reason: str) -> None:
    """Say that an execution that never began is skipped or cancelled."""
    run = turn.run
    turn.add(
        StageEnded(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=name,
            execution=number,
            task_id=task_id_of(run.run_id, name, number),
            status=status,
            reason=reason,
            tokens=turn.tokens(name),
        )
    )


def end_run(turn: Turn, status: str, reason: str, ask_id: str = "") -> None:
    """Nothing of the run goes on: cancel what is under way, then end it."""
    run = turn.run
    if run.open or run.due or ask_id:
        turn.add(
            RunEnding(workspace_id=run.workspace_id, run_id=run.run_id, ask_id=ask_id, status=status, reason=reason)
        )
        go_on_ending(turn)
        return
    turn.add(RunEnded(workspace_id=run.workspace_id, run_id=run.run_id, status=status, reason=reason))


def go_on_ending(turn: Turn) -> None:
    """Cancel what is still under way of a run that ends, as much as a decision holds; then the run has ended."""
    run = turn.run
    for execution in sorted(run.open.values(), key=lambda each: each.order)[:CANCELLED_MAX]:
        cancel(turn, execution, f"the run ends: {run.reason}" if run.reason else "the run ends")
    run = turn.run
    if not run.open:
        turn.add(RunEnded(workspace_id=run.workspace_id, run_id=run.run_id, status=run.ending, reason=run.reason))


def _ended(
    turn: Turn,
    execution: Execution,
    status: str,
    code: str,
    reason: str,
    *,
    account: Account = NO_ACCOUNT,
    artifacts: tuple[Artifact, ...] = (),
    taken: Sequence[int] = (),
    moves: Moves | None = None,
) -> StageEnded:
    run = turn.run
    return StageEnded(
        workspace_id=run.workspace_id,
        run_id=run.run_id,
        stage=execution.stage,
        execution=execution.number,
        task_id=execution.task_id,
        attempts=execution.attempt,
        instance_id=account.instance_id,
        status=status,
        code=code,
        reason=reason[:REASON_CHARS_MAX],
        outputs=artifacts,
        tokens=turn.tokens(execution.stage, taken) if moves is not None else (),
        moves=moves,
        started_at_ms=account.started_at_ms,
    )


def _read_result(text: str) -> tuple[Any, str]:
    if len(text.encode()) > RESULT_BYTES_MAX:
        return None, f"the result has {len(text.encode())} bytes, more than {RESULT_BYTES_MAX}"
    try:
        return json.loads(text), ""
    except (ValueError, RecursionError) as error:
        return None, f"the result is no JSON: {error}"


def _say_clash(turn: Turn, execution: Execution, clash: Clash) -> None:
    run, content = turn.run, clash.content
    turn.add(
        ArtifactsConflicted(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            name=content.name,
            base_version=clash.base_version,
            kept=clash.newest,
            rejected=artifact_of(content, 0, clash.base_version),
            stage=execution.stage,
            execution=execution.number,
        )
    )


# What else follows from an end.


def _follows(turn: Turn, execution: Execution, *, completed: bool) -> list[Entry]:
    """The other waits of its choice are skipped, waits for it go on, and the next in line gets its mutex."""
    stage, definition = turn.stage(execution.stage), turn.definition
    follows: list[Entry] = []
    if stage.choice is not None:
        follows += _losers(turn, execution, stage.choice)
    if completed and stage.id in definition.awaited:
        follows += _awaiting(turn, stage.id)
    if stage.mutex is not None:
        follows += _next_in_line(turn, execution, stage.mutex)
    return follows


def _losers(turn: Turn, execution: Execution, choice: str) -> list[Entry]:
    others = _under_way(turn, turn.definition.choices.get(choice, ()))
    return [Entry(e.stage, e.number, "pass", execution.stage) for e in others if e.task_id != execution.task_id]


def _awaiting(turn: Turn, name: str) -> list[Entry]:
    result, waits_for = json.dumps({"stage": name}), f"stage:{name}"
    waits = _under_way(turn, turn.definition.awaited[name])
    return [Entry(e.stage, e.number, "trigger", result) for e in waits if e.waits_for == waits_for]


def _next_in_line(turn: Turn, execution: Execution, mutex: str) -> list[Entry]:
    waits_for = f"mutex:{mutex}"
    if execution.waits_for == waits_for:
        return []
    waiting = _under_way(turn, turn.definition.mutexes[mutex])
    return [Entry(e.stage, e.number, "resume") for e in waiting if e.waits_for == waits_for][:1]


def _under_way(turn: Turn, stages: Iterable[str]) -> list[Execution]:
    found = [execution for name in stages for execution in turn.run.executions_of(name)]
    return sorted(found, key=lambda execution: execution.order)
