"""Decisions that give attempts to instances: at once, or from the queue when a slot is free."""

from typing import NamedTuple

from bus.decider import DECISION_BYTES_MAX, Draft
from services.records import task
from services.records.budget import BudgetSet
from services.records.content import Terms, Work
from services.records.review import ReviewClosed
from services.records.task import Pick
from services.router.crew import Crew, next_up
from services.router.instance import COMING, DRAINING, READY, changed
from services.router.loss import FACTS_MAX
from services.router.placement import Choice, choose, explain_none
from services.router.provision import need_one
from services.router.queue import Levels, least_levels
from services.router.roster_state import Assigned, Doubted, Rosters, Waiting
from services.router.selection import doubt_on, narrowed, select

QUEUE_TASKS_MAX = 10_000
"""Most tasks that wait in a workspace."""

BYTES_MAX = DECISION_BYTES_MAX // 2
"""Most bytes of work that a decision assigns from the queue, by a rough estimate; one task it always assigns."""


class Asked(NamedTuple):
    """The attempt that is decided on."""

    workspace_id: str
    task_id: str
    attempt_id: str


def request(draft: Draft[Rosters], requested: task.TaskRequested) -> None:
    """Assign the attempt at once, or queue it, or ask who should do it, or refuse it."""
    work, roster = requested.work, draft.state.of(requested.workspace_id)
    if roster.knows(requested.attempt_id):
        return
    asked = Asked(requested.workspace_id, requested.task_id, requested.attempt_id)
    selection = select(work, roster, draft.blobs)
    if selection.refusal:
        draft.add(refusal(asked, work, selection.refusal))
    elif selection.pick and selection.choices:
        _doubt(draft, asked, work, selection.pick, selection.choices)
    else:
        place(draft, asked, narrowed(work, selection.professions), selection.pick)


def place(draft: Draft[Rosters], asked: Asked, work: Work, pick: Pick | None) -> None:
    """Assign an attempt of which it is known who may do it, or queue it."""
    roster, least = draft.state.of(asked.workspace_id), least_levels(work)
    professions = (work.profession,) if work.profession else tuple(sorted(work.professions))
    crews = [roster.crew(profession) for profession in professions]
    idle = [crew for crew in crews if not crew.deferred]
    choice = choose(idle, roster.instances, work.agent, least)
    if choice:
        _assign(draft, asked, work, choice, pick)
    elif roster.waiting >= QUEUE_TASKS_MAX and asked.attempt_id not in roster.attempts:
        draft.add(_full(asked, work))
    else:
        draft.add(_queueing(asked, work, _explain(crews, professions, work, least), pick))
        wanted = pick.ranked[0].profession if pick and not work.profession else work.profession
        need_one(draft, asked.workspace_id, wanted, work.agent)


def _explain(crews: list[Crew], professions: tuple[str, ...], work: Work, least: Levels) -> str:
    told = [explain_none(*each, work.agent, least) for each in zip(crews, professions, strict=True)]
    return told[0] if len(told) == 1 else f"none of {len(told)} professions that may do it: {'; '.join(told[:3])}"


def answer(draft: Draft[Rosters], closed: ReviewClosed) -> None:
    """Somebody has said which profession should do a task that was in doubt."""
    doubted = draft.state.of(closed.workspace_id).attempts.get(closed.review_id)
    if not isinstance(doubted, Doubted):
        return
    asked = Asked(closed.workspace_id, doubted.task_id, closed.review_id)
    chosen = closed.choice or doubted.choices[0]
    if not closed.approved or chosen not in doubted.choices:
        draft.add(refusal(asked, doubted.work, f"nobody chose a profession for the task: {closed.reason}"))
        return
    who = next((vote.reviewer for vote in closed.votes if vote.approve), "nobody")
    pick = doubted.pick.model_copy(update={"chosen_by": who})
    place(draft, asked, narrowed(doubted.work, (chosen,)), pick)


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
        choice = choose((crew,), roster.instances, waiting.work.agent, least_levels(waiting.work))
        assert choice, f"attempt {attempt_id} is next but no instance fits it"
        asked = Asked(workspace_id, waiting.task_id, attempt_id)
        _assign(draft, asked, waiting.work, choice, waiting.pick)


def resume(draft: Draft[Rosters], workspace_id: str, profession: str) -> None:
    """Go on with assignments that were more than a decision holds."""
    draft.add(task.AssignmentsDeferred(workspace_id=workspace_id, profession=profession, deferred=False))
    assign_waiting(draft, workspace_id, profession)


def _assign(draft: Draft[Rosters], asked: Asked, work: Work, choice: Choice, pick: Pick | None) -> None:
    roster = draft.state.of(asked.workspace_id)
    instance = roster.instances[choice.instance_id]
    terms = instance.terms or Terms()
    work = _stretched(narrowed(work, (instance.profession,)), terms.timeout_multiplier)
    draft.add(
        task.TaskAssigned(
            workspace_id=asked.workspace_id,
            task_id=asked.task_id,
            attempt_id=asked.attempt_id,
            instance_id=instance.instance_id,
            node_id=instance.node_id,
            node_session=instance.node_session,
            incarnation=instance.incarnation,
            deadline_ms=draft.now_ms + work.timeout_ms if work.timeout_ms > 0 else 0,
            work=work,
            reasons=choice.reasons,
            runners_up=choice.runners_up,
            pick=pick,
            budgeted=roster.budgeted,
            quality_threshold=terms.quality_threshold,
        )
    )


def _stretched(work: Work, multiplier: float) -> Work:
    """The work with the time that who does it has for it; where there is no timeout, there is none."""
    if multiplier == 1 or work.timeout_ms <= 0:
        return work
    return work.model_copy(update={"timeout_ms": max(1, round(work.timeout_ms * multiplier))})


def budget(draft: Draft[Rosters], limited: BudgetSet) -> None:
    """From here on, attempts wait for their first tranche, or no longer do."""
    budgeted = limited.limits > 0
    if draft.state.of(limited.workspace_id).budgeted != budgeted:
        draft.add(task.WorkspaceBudgeted(workspace_id=limited.workspace_id, budgeted=budgeted))


def _queueing(asked: Asked, work: Work, reason: str, pick: Pick | None) -> task.TaskQueued:
    return task.TaskQueued(
        workspace_id=asked.workspace_id,
        task_id=asked.task_id,
        attempt_id=asked.attempt_id,
        work=work,
        reason=reason,
        pick=pick,
    )


def _doubt(draft: Draft[Rosters], asked: Asked, work: Work, pick: Pick, choices: tuple[str, ...]) -> None:
    if draft.state.of(asked.workspace_id).waiting >= QUEUE_TASKS_MAX:
        draft.add(_full(asked, work))
        return
    draft.add(
        task.TaskDoubted(
            workspace_id=asked.workspace_id,
            task_id=asked.task_id,
            attempt_id=asked.attempt_id,
            work=work,
            pick=pick,
            choices=choices,
            reason=doubt_on(pick),
        )
    )


def _full(asked: Asked, work: Work) -> task.TaskLost:
    waiting = f"{QUEUE_TASKS_MAX} tasks wait in it"
    return refusal(asked, work, f"the queue of workspace {asked.workspace_id} is full: {waiting}")


def refusal(asked: Asked, work: Work, reason: str) -> task.TaskLost:
    """The attempt can go to nobody."""
    return task.TaskLost(
        workspace_id=asked.workspace_id,
        run_id=work.run_id,
        task_id=asked.task_id,
        attempt_id=asked.attempt_id,
        code="refused",
        reason=reason,
    )


def _worker_of(what: Assigned | task.TaskCompleted | task.TaskFailed) -> tuple[str, str, int]:
    return what.instance_id, what.node_session, what.incarnation


def _size_of(work: Work) -> int:
    """About the bytes of this work in a record."""
    inline = sum(len(artifact.inline or b"") + 200 for artifact in work.inputs)
    return 1_000 + inline + 4 * (len(work.parameters) + len(work.instructions))
