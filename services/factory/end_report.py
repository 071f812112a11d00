"""The one report with which a node answers an attempt."""

from collections.abc import Sequence

from bus.record import derive_id
from services.factory.agents.port import ERROR_CHARS_MAX, Outcome
from services.records.content import Content, Read, Usage, Work
from services.records.task import TaskAssigned, TaskCompleted, TaskFailed


def end_id(node_session: str, attempt_id: str) -> str:
    """The id of the end report, the same whenever and by whomever it is made."""
    return derive_id(node_session, attempt_id)


def completed(
    order: TaskAssigned, outcome: Outcome, contents: Sequence[Content], started_at_ms: int, now_ms: int
) -> TaskCompleted:
    """The attempt ended well."""
    work = order.work
    return TaskCompleted(
        workspace_id=order.workspace_id,
        run_id=work.run_id,
        stage=work.stage,
        task_id=order.task_id,
        attempt_id=order.attempt_id,
        instance_id=order.instance_id,
        node_id=order.node_id,
        node_session=order.node_session,
        incarnation=order.incarnation,
        result=outcome.result,
        outputs=tuple(contents),
        reads=_reads(work),
        quality=outcome.quality,
        quality_threshold=order.quality_threshold,
        usage=_usage(outcome, started_at_ms, now_ms),
        started_at_ms=started_at_ms,
    )


def failed(
    order: TaskAssigned, outcome: Outcome, contents: Sequence[Content], started_at_ms: int, now_ms: int
) -> TaskFailed:
    """The attempt came to nothing, for the reason in the outcome's error; the contents are what there is of it."""
    return TaskFailed(
        workspace_id=order.workspace_id,
        run_id=order.work.run_id,
        stage=order.work.stage,
        task_id=order.task_id,
        attempt_id=order.attempt_id,
        instance_id=order.instance_id,
        node_id=order.node_id,
        node_session=order.node_session,
        incarnation=order.incarnation,
        code=outcome.code,
        reason=outcome.error[:ERROR_CHARS_MAX],
        outputs=tuple(contents),
        usage=_usage(outcome, started_at_ms, now_ms),
        started_at_ms=started_at_ms,
    )


def _reads(work: Work) -> tuple[Read, ...]:
    return tuple([Read(name=each.name, version=each.version, digest=each.digest) for each in work.inputs])


def _usage(outcome: Outcome, started_at_ms: int, now_ms: int) -> Usage:
    usage = outcome.usage
    if "wall_ms" in usage:
        return Usage(**usage)
    return Usage(**usage, wall_ms=max(0, now_ms - started_at_ms) if started_at_ms else 0)
