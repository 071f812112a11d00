"""Decisions that end attempts without a result: cancelled, out of time, or lost with their instance."""

from bus.decider import DECISION_RECORDS_MAX, Draft
from services.records.task import AttemptCancelled, CancelRequested, TaskLost
from services.router.roster_state import OPEN, Assigned, Doomed, Doubted, Rosters, Waiting

FACTS_MAX = DECISION_RECORDS_MAX - 20
"""A decision begins no further loss or assignment when it has so many facts; that leaves room for its end."""


def cancel(draft: Draft[Rosters], asked: CancelRequested) -> None:
    """Take an attempt out of the queue, or have its node stop it; what is over already stays as it is."""
    attempt = draft.state.of(asked.workspace_id).attempts.get(asked.attempt_id)
    if isinstance(attempt, Waiting | Doubted):
        draft.add(
            AttemptCancelled(
                workspace_id=asked.workspace_id,
                run_id=attempt.work.run_id,
                task_id=attempt.task_id,
                attempt_id=asked.attempt_id,
                reason=asked.reason,
            )
        )
    elif isinstance(attempt, Assigned) and attempt.status == OPEN:
        draft.add(_order_to_stop(asked.workspace_id, asked.attempt_id, attempt, asked.reason))


def time_out(draft: Draft[Rosters], workspace_id: str, attempt_id: str) -> None:
    """An assigned attempt has used up its time; its slot stays taken until its node reports the end."""
    attempt = draft.state.of(workspace_id).attempts[attempt_id]
    assert isinstance(attempt, Assigned), f"attempt {attempt_id} timed out but holds no slot"
    reason = "the task did not end within its timeout"
    draft.add(
        TaskLost(
            workspace_id=workspace_id,
            run_id=attempt.run_id,
            task_id=attempt.task_id,
            attempt_id=attempt_id,
            instance_id=attempt.instance_id,
            code="timeout",
            reason=reason,
        )
    )
    draft.add(_order_to_stop(workspace_id, attempt_id, attempt, reason))


def stop_waiting(draft: Draft[Rosters], workspace_id: str, attempt_id: str) -> None:
    """An attempt has waited as long as it may."""
    waiting = draft.state.of(workspace_id).attempts[attempt_id]
    assert isinstance(waiting, Waiting | Doubted), f"attempt {attempt_id} waited too long but does not wait"
    who = "nobody said which profession should do" if isinstance(waiting, Doubted) else _nobody(waiting)
    draft.add(
        TaskLost(
            workspace_id=workspace_id,
            run_id=waiting.work.run_id,
            task_id=waiting.task_id,
            attempt_id=attempt_id,
            code="queue_timeout",
            reason=f"{who} the task in {waiting.work.queue_timeout_ms} ms",
        )
    )


def _nobody(waiting: Waiting) -> str:
    return f"no instance of {' or '.join(waiting.professions)} took"


def say_losses(draft: Draft[Rosters], workspace_id: str) -> None:
    """Say which attempts are lost, as many as the decision holds; a deadline goes on with the others."""
    while len(draft.facts) < FACTS_MAX:
        roster = draft.state.of(workspace_id)
        if not roster.doomed:
            return
        attempt_id = roster.doomed[roster.said]
        doomed = roster.attempts[attempt_id]
        assert isinstance(doomed, Doomed), f"attempt {attempt_id} is to be lost but is {doomed}"
        draft.add(
            TaskLost(
                workspace_id=workspace_id,
                run_id=doomed.run_id,
                task_id=doomed.task_id,
                attempt_id=attempt_id,
                instance_id=doomed.instance_id,
                code=doomed.code,
                reason=doomed.reason,
            )
        )


def _order_to_stop(workspace_id: str, attempt_id: str, attempt: Assigned, reason: str) -> AttemptCancelled:
    return AttemptCancelled(
        workspace_id=workspace_id,
        run_id=attempt.run_id,
        task_id=attempt.task_id,
        attempt_id=attempt_id,
        instance_id=attempt.instance_id,
        node_id=attempt.node_id,
        reason=reason,
    )
