"""How an execution of a stage ends: completed, failed, passed over or cancelled; and how a run does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from services.definitions.branch import Branch
from services.orchestrator.compensation import has_to_undo, reason_of, undo_next
from services.orchestrator.definition import Level
from services.orchestrator.end_facts import (
    NO_ACCOUNT,
    REASON_CHARS_MAX,
    Account,
    cancelling,
    completed,
    conflicted,
    ended,
)
from services.orchestrator.executions import size_of
from services.orchestrator.flow import Flow, Given
from services.orchestrator.following import follows, next_in_line
from services.orchestrator.outputs import Written, write_outputs
from services.orchestrator.retry import retry_at
from services.orchestrator.run import WORKING, Execution, task_id_of
from services.orchestrator.tokens import Play
from services.orchestrator.turn import Entry, Turn
from services.orchestrator.ways import NoWay, Scope, ways_on, ways_out
from services.records.content import RESULT_BYTES_MAX, Artifact, Content
from services.records.task import (
    AttemptFailed,
    RunEnded,
    RunEnding,
    StageEnded,
    StageStopping,
)

CANCELLED_MAX = 150
"""Most executions that are cancelled in one decision; each may need two facts."""

COLLECT_BYTES_MAX = 16 * 1024 * 1024
"""Most bytes that the items of a map may give where they are collected."""


def complete(
    turn: Turn,
    execution: Execution,
    result: str,
    contents: tuple[Content, ...] = (),
    account: Account = NO_ACCOUNT,
) -> None:
    """An execution came to its result: judge it, and go on where the edges lead."""
    stage, level = turn.stage(execution.stage), turn.definition.level(execution.stage)
    value, fault = _read_result(result)
    written = write_outputs(turn.run, execution, contents, level, stage)
    if fault or written.fault:
        fail_attempt(turn, execution, "error", fault or written.fault, account)
        return
    for clash in written.clashes:
        turn.add(conflicted(turn, execution, clash))
    fatal = next((clash for clash in written.clashes if clash.policy != "keep_both"), None)
    if fatal is not None:
        fail(turn, execution, "conflict", fatal.reason, account)
    elif turn.run.ending:
        turn.add(completed(turn, level, execution, result, written, account))
        go_on_ending(turn)
    elif execution.item >= 0 and turn.run.is_item(execution.stage, execution.item):
        _complete_item(turn, execution, result, written, account)
    else:
        _complete(turn, level, execution, result, value, written, account)


def _complete(
    turn: Turn, level: Level, execution: Execution, result: str, value: Any, written: Written, account: Account
) -> None:
    flow, number = turn.flow(execution.stage, execution.item), level.graph.number[execution.stage]
    scope = Scope(flow, level, turn.now_ms, value, written=written.artifacts)
    try:
        ways = ways_on(scope, number)
    except NoWay as error:
        fail(turn, execution, "no_way", str(error), account, written.artifacts)
        return
    taken = [branch.index for branch in ways]
    play = Play(level.graph, flow.game)
    play.end(number, execution.number, taken)
    if others := turn.stage(execution.stage).cancel:
        play.cancel(turn.number(other) for other in others)
    turn.conclude(
        play,
        level,
        flow.item,
        lambda moves: completed(turn, level, execution, result, written, account, taken=taken, moves=moves),
        [*follows(turn, level, execution, completed=True), *account.also],
    )


def _complete_item(turn: Turn, execution: Execution, result: str, written: Written, account: Account) -> None:
    """The map goes on by itself, unless its items give more than can be collected."""
    whole = turn.run.owner_of(execution)
    turn.add(completed(turn, turn.definition.level(execution.stage), execution, result, written, account))
    parts = whole.parts if whole else None
    if whole is None or parts is None or parts.items is None or not parts.items.collect:
        return
    if parts.bytes + size_of(Given("" if written.artifacts else result, written.artifacts)) > COLLECT_BYTES_MAX:
        reason = f"its items give more than {COLLECT_BYTES_MAX} bytes, which is too much to collect"
        stop(turn, whole, "failed", "too_big", reason)


def fail_attempt(turn: Turn, execution: Execution, code: str, reason: str, account: Account = NO_ACCOUNT) -> None:
    """An attempt came to nothing: try again, or fail for good."""
    stage, at_ms = turn.stage(execution.stage), 0
    if execution.status == WORKING:
        at_ms = retry_at(stage.retry, code, execution.attempt, execution.attempt_id, turn.now_ms)
    if not at_ms:
        fail(turn, execution, code, reason, account)
        return
    say_failed(turn, execution, code, reason, at_ms)


def say_failed(turn: Turn, execution: Execution, code: str, reason: str, retry_at_ms: int) -> None:
    """Say that an attempt came to nothing and that there will be another one."""
    run = turn.run
    turn.add(
        AttemptFailed(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=execution.stage,
            execution=execution.number,
            item=execution.item,
            task_id=execution.task_id,
            attempt_id=execution.attempt_id,
            code=code,
            reason=reason[:REASON_CHARS_MAX],
            retry_at_ms=retry_at_ms,
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
    stage = turn.stage(execution.stage)
    if turn.run.ending:
        turn.add(ended(turn, execution, "failed", code, reason, account=account, artifacts=artifacts))
        go_on_ending(turn)
        return
    if turn.run.is_item(execution.stage, execution.item):
        _fail_item(turn, execution, code, reason, account)
        return
    level, flow = turn.definition.level(stage.id), turn.flow(stage.id, execution.item)
    number = level.graph.number[stage.id]
    ways: list[Branch] = []
    action = stage.on_error.action
    if action == "route":
        error = {"code": code, "reason": reason, "stage": stage.id, "attempts": execution.attempt}
        try:
            ways = ways_out(Scope(flow, level, turn.now_ms, None, error), number)
        except NoWay as nothing:
            action, reason = "fail", f"{reason}; {nothing}"
    if action == "fail":
        turn.add(ended(turn, execution, "failed", code, reason, account=account, artifacts=artifacts))
        end_all(turn, execution, "failed", code, f"`{stage.id}` failed: {reason}"[:REASON_CHARS_MAX])
        return
    taken = [branch.index for branch in ways]
    status = "skipped" if action == "skip" else "failed"
    play = turn.play(stage.id, execution.item)
    play.end(number, execution.number, taken)
    turn.conclude(
        play,
        level,
        flow.item,
        lambda moves: ended(
            turn, execution, status, code, reason, account=account, artifacts=artifacts, taken=taken, moves=moves
        ),
        [*follows(turn, level, execution, completed=False), *account.also],
    )


def _fail_item(turn: Turn, execution: Execution, code: str, reason: str, account: Account) -> None:
    """An item that its stage skips on errors is left out; otherwise the map fails with its first item that does."""
    is_skipped = turn.stage(execution.stage).on_error.action == "skip"
    whole = turn.run.owner_of(execution)
    turn.add(ended(turn, execution, "skipped" if is_skipped else "failed", code, reason, account=account))
    if whole is not None and not is_skipped:
        stop(turn, whole, "failed", code, f"item {execution.item} failed: {reason}"[:REASON_CHARS_MAX])


def leave(turn: Turn, execution: Execution, status: str, code: str, reason: str, *, ask_id: str = "") -> None:
    """An execution that is under way ends without a result and takes no way on: skipped, or cancelled in time."""
    level = turn.definition.level(execution.stage)
    told = Account(ask_id=ask_id)
    if execution.attempt_id:
        turn.add(cancelling(turn.run, execution, reason))
    if turn.run.is_item(execution.stage, execution.item):
        turn.add(ended(turn, execution, status, code, reason, account=told))
        return
    if turn.run.ending:
        turn.add(ended(turn, execution, status, code, reason, account=told))
        go_on_ending(turn)
        return
    play = turn.play(execution.stage, execution.item)
    play.end(level.graph.number[execution.stage], execution.number)
    turn.conclude(
        play,
        level,
        turn.flow(execution.stage, execution.item).item,
        lambda moves: ended(turn, execution, status, code, reason, account=told, moves=moves),
        next_in_line(turn, execution),
    )


def cancel(turn: Turn, execution: Execution, reason: str) -> None:
    """Say that an execution is cancelled, as the token game knows; the roster and the reviews see to whoever works on
    it."""
    run = turn.run
    entries = next_in_line(turn, execution) if execution.mutexes and turn.is_live else []
    turn.add(ended(turn, execution, "cancelled", "cancelled", reason))
    if execution.attempt_id:
        turn.add(cancelling(run, execution, reason))
    for entry in entries:
        turn.later(partial(turn.say, entry))


def stop(
    turn: Turn, whole: Execution, status: str, code: str, reason: str, *, told: bool = False, ask_id: str = ""
) -> None:
    """An execution with parts is to end so; what it is told first counts, unless the token game has ended it."""
    assert whole.parts is not None, f"{whole.stage} has no parts"
    if whole.parts.stop is not None and (whole.parts.stop.told or not told):
        return
    run = turn.run
    turn.add(
        StageStopping(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=whole.stage,
            execution=whole.number,
            item=whole.item,
            task_id=whole.task_id,
            status=status,
            code=code,
            reason=reason,
            ask_id=ask_id,
            told=told,
        )
    )


def say_passed(turn: Turn, due: Entry, status: str, reason: str) -> None:
    """Say that an execution that never began is skipped or cancelled."""
    run = turn.run
    turn.add(
        StageEnded(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=due.stage,
            execution=due.execution,
            item=due.item,
            task_id=task_id_of(run.run_id, due.stage, due.execution, due.item),
            status=status,
            reason=reason,
            tokens=turn.tokens(due.stage),
        )
    )


def end_all(turn: Turn, execution: Execution, status: str, code: str, reason: str) -> None:
    """End what an execution is in, which has no further say: its subflow, or the run."""
    flow = turn.flow(execution.stage, execution.item)
    if not isinstance(flow, Flow):
        end_run(turn, status, reason)
    elif owner := turn.run.open.get(flow.owner):
        stop(turn, owner, status, code, reason)


def end_run(turn: Turn, status: str, reason: str, ask_id: str = "") -> None:
    """Nothing of the run goes on: cancel what is under way, then end it."""
    run = turn.run
    if run.open or run.due or ask_id or has_to_undo(run, status):
        turn.add(
            RunEnding(workspace_id=run.workspace_id, run_id=run.run_id, ask_id=ask_id, status=status, reason=reason)
        )
        go_on_ending(turn)
        return
    turn.add(RunEnded(workspace_id=run.workspace_id, run_id=run.run_id, status=status, reason=reason))


def go_on_ending(turn: Turn) -> None:
    """Cancel what is still under way of a run that ends, as much as a decision holds; then undo what is to be undone;
    then the run has ended."""
    run = turn.run
    if not run.is_closing:
        return
    for execution in from_inside(run.open.values())[:CANCELLED_MAX]:
        cancel(turn, execution, f"the run ends: {run.reason}" if run.reason else "the run ends")
    run = turn.run
    if run.open:
        return
    if has_to_undo(run, run.ending):
        undo_next(turn)
        return
    turn.add(RunEnded(workspace_id=run.workspace_id, run_id=run.run_id, status=run.ending, reason=reason_of(run)))


def from_inside(executions: Iterable[Execution]) -> list[Execution]:
    """In the order of their beginnings, but whatever has parts after them."""
    return sorted(executions, key=lambda e: (e.parts is not None, e.order if e.parts is None else -e.order))


def _read_result(text: str) -> tuple[Any, str]:
    if len(text.encode()) > RESULT_BYTES_MAX:
        return None, f"the result has {len(text.encode())} bytes, more than {RESULT_BYTES_MAX}"
    try:
        return json.loads(text), ""
    except (ValueError, RecursionError) as error:
        return None, f"the result is no JSON: {error}"
