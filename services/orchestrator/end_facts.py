"""The facts that say how an execution ended, written in one place each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.orchestrator.definition import Level
from services.orchestrator.outputs import Clash, Written
from services.orchestrator.run import Execution, Run, artifact_of
from services.orchestrator.turn import Entry, Turn
from services.records.content import Artifact, Read, Usage
from services.records.task import ArtifactsConflicted, CancelRequested, StageCompleted, StageEnded
from services.records.token import Moves

REASON_CHARS_MAX = 2_000
"""Longest reason that is repeated from an account."""


class Account(NamedTuple):
    """What is known of how an execution ended: of its attempt, or of the ask; and what else the ask leads to."""

    instance_id: str = ""
    reads: tuple[Read, ...] = ()
    started_at_ms: int = 0
    usage: Usage | None = None
    ask_id: str = ""
    also: tuple[Entry, ...] = ()


NO_ACCOUNT = Account()


def completed(
    turn: Turn,
    level: Level,
    execution: Execution,
    result: str,
    written: Written,
    account: Account,
    *,
    taken: Sequence[int] = (),
    moves: Moves | None = None,
) -> StageCompleted:
    """It has its result and outputs."""
    run = turn.run
    return StageCompleted(
        workspace_id=run.workspace_id,
        run_id=run.run_id,
        stage=execution.stage,
        execution=execution.number,
        item=execution.item,
        task_id=execution.task_id,
        attempt_id=execution.attempt_id,
        attempts=execution.attempt,
        instance_id=account.instance_id,
        ask_id=account.ask_id,
        result=result,
        outputs=written.artifacts,
        reads=_full_names(level, account.reads),
        tokens=turn.tokens(execution.stage, taken) if moves is not None else (),
        moves=moves,
        started_at_ms=account.started_at_ms or execution.began_ms,
        usage=account.usage,
        compensation=_compensation_of(turn, execution),
    )


def _compensation_of(turn: Turn, execution: Execution) -> str:
    """What would undo it; an item of a map is undone with its map."""
    if execution.item >= 0:
        return ""
    return turn.stage(execution.stage).compensate or ""


def _full_names(level: Level, reads: tuple[Read, ...]) -> tuple[Read, ...]:
    if not level.prefix:
        return reads
    return tuple([read.model_copy(update={"name": level.prefix + read.name}) for read in reads])


def ended(
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
    """It ended without a result."""
    run = turn.run
    return StageEnded(
        workspace_id=run.workspace_id,
        run_id=run.run_id,
        stage=execution.stage,
        execution=execution.number,
        item=execution.item,
        task_id=execution.task_id,
        attempts=execution.attempt,
        instance_id=account.instance_id,
        ask_id=account.ask_id if status == "cancelled" else "",
        status=status,
        code=code,
        reason=reason[:REASON_CHARS_MAX],
        outputs=artifacts,
        tokens=turn.tokens(execution.stage, taken) if moves is not None else (),
        moves=moves,
        started_at_ms=account.started_at_ms,
    )


def cancelling(run: Run, execution: Execution, reason: str) -> CancelRequested:
    """What tells the roster that an attempt is no longer wanted."""
    return CancelRequested(
        workspace_id=run.workspace_id,
        run_id=run.run_id,
        task_id=execution.task_id,
        attempt_id=execution.attempt_id,
        reason=reason,
    )


def conflicted(turn: Turn, execution: Execution, clash: Clash) -> ArtifactsConflicted:
    """Two wrote from one base."""
    run, content = turn.run, clash.content
    return ArtifactsConflicted(
        workspace_id=run.workspace_id,
        run_id=run.run_id,
        name=turn.definition.level(execution.stage).prefix + content.name,
        base_version=clash.base_version,
        kept=clash.newest,
        rejected=artifact_of(content, 0, clash.base_version),
        stage=execution.stage,
        execution=execution.number,
    )
