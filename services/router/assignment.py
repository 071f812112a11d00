"""Decisions that give attempts to instances: at once, or from the queue when a slot is free."""

from bus.decider import DECISION_BYTES_MAX, Draft
from services.records import task
from services.records.content import Work
from services.router.crew import next_up
from services.router.instance import COMING, DRAINING, READY, changed
from services.router.loss import FACTS_MAX
from services.router.placement import Choice, choose, explain_none
from services.router.provision import need_one
from services.router.queue import least_levels
from services.router.roster_state import Assigned, Rosters, Waiting

QUEUE_TASKS_MAX = 10_000
"""Most tasks that wait in a workspace."""

BYTES_MAX = DECISION_BYTES_MAX // 2
"""Most bytes of work that a decision assigns from the queue, by a rough estimate; one task it always assigns."""


def request(draft: Draft[Rosters], asked: task.TaskRequested) -> None:
    """Assign the attempt at once, or queue it, or refuse it."""
    work, roster = asked.work, draft.state.of(asked.workspace_id)
    if roster.knows(asked.attempt_id):
        return
    crew, least = roster.crew(work.profession), least_levels(work)
    choice = None if crew.deferred else choose(crew, roster.instances, work.agent, least)
    if choice:
        _assign(draft, asked.workspace_id, asked.attempt_id, asked.task_id, work, choice)
    elif roster.waiting >= QUEUE_TASKS_MAX:
        draft.add(_refusal(asked))
    else:
        reason = explain_none(crew, work.profession, work.agent, least)
        draft.add(_queueing(asked, reason))
        need_one(draft, asked.workspace_id, work.profession, work.agent)


def settle(draft: Draft[Rosters], report: task.TaskCompleted | task.TaskFailed) -> None:
    """Free the slot of an attempt whose worker reports its end, and give it to the next task."""
    attempt = draft.state.of(report.workspace_id).attempts.get(report.attempt_id)
    if not isinstance(attempt, Assigned) or _worker_of(attempt) != _worker_of(report):
        return
    failed = (report.attempt_id,) if isinstance(report, task.TaskFailed) else ()
    draft.add(task.TasksSettled(workspace_id=report.workspace_id, attempts=(report.attempt_id,), failed=failed))
    instance = draft.state.of(report.workspace_id).instances[attempt.instance_id]
    if isinstance(report, task.TaskFailed) and report.code == "worker_lost" and instance.status == READY:
        # Until its owner says what becomes of it, it would fail each task that it is given.
        draft.add(changed(report.workspace_id, instance, COMING, report.reason))
    elif instance.status == DRAINING and not instance.attempts:
        draft.add(task.InstanceVacated(workspace_id=report.workspace_id, instance_id=instance.instance_id))
    assign_waiting(draft, report.workspace_id, instance.profession)


def assign_waiting(draft: Draft[Rosters], workspace_id: str, profession: str) -> None:
    """Assign tasks of this profession that wait, as long as a free instance fits one of them."""
    size = 0
    while True:
        roster = draft.state.of(workspace_id)
        crew = roster.crew(profession)
        attempt_id = next_up(crew)
        if not attempt_id:
            return
        waiting = roster.attempts[attempt_id]
        assert isinstance(waiting, Waiting), f"attempt {attempt_id} stands in the queue but does not wait"
        before, size = size, size + _size_of(waiting.work)
        if len(draft.facts) >= FACTS_MAX or (before and size > BYTES_MAX):
            draft.add(task.AssignmentsDeferred(workspace_id=workspace_id, profession=profession))
            return
        choice = choose(crew, roster.instances, waiting.work.agent, least_levels(waiting.work))
        assert choice, f"attempt {attempt_id} is next but no instance fits it"
        _assign(draft, workspace_id, attempt_id, waiting.task_id, waiting.work, choice)


def resume(draft: Draft[Rosters], workspace_id: str, profession: str) -> None:
    """Go on with assignments that were more than a decision holds."""
    draft.add(task.AssignmentsDeferred(workspace_id=workspace_id, profession=profession, deferred=False))
    assign_waiting(draft, workspace_id, profession)


def _assign(
    draft: Draft[Rosters], workspace_id: str, attempt_id: str, task_id: str, work: Work, choice: Choice
) -> None:
    instance = draft.state.of(workspace_id).instances[choice.instance_id]
    draft.add(
        task.TaskAssigned(
            workspace_id=workspace_id,
            task_id=task_id,
            attempt_id=attempt_id,
            instance_id=instance.instance_id,
            node_id=instance.node_id,
            node_session=instance.node_session,
            incarnation=instance.incarnation,
            deadline_ms=draft.now_ms + work.timeout_ms if work.timeout_ms > 0 else 0,
            work=work,
            reasons=choice.reasons,
            runners_up=choice.runners_up,
        )
    )


def _queueing(asked: task.TaskRequested, reason: str) -> task.TaskQueued:
    return task.TaskQueued(
        workspace_id=asked.workspace_id,
        task_id=asked.task_id,
        attempt_id=asked.attempt_id,
        work=asked.work,
        reason=reason,
    )


def _refusal(asked: task.TaskRequested) -> task.TaskLost:
    return task.TaskLost(
        workspace_id=asked.workspace_id,
        run_id=asked.work.run_id,
        task_id=asked.task_id,
        attempt_id=asked.attempt_id,
        code="refused",
        reason=f"the queue of workspace {asked.workspace_id} is full: {QUEUE_TASKS_MAX} tasks wait in it",
    )


def _worker_of(what: Assigned | task.TaskCompleted | task.TaskFailed) -> tuple[str, str, int]:
    return what.instance_id, what.node_session, what.incarnation


def _size_of(work: Work) -> int:
    """About the bytes of this work in a record."""
    inline = sum(len(artifact.inline or b"") + 200 for artifact in work.inputs)
    return 1_000 + inline + 4 * (len(work.parameters) + len(work.instructions))
