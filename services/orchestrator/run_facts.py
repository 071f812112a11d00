"""What each fact of the runs role changes in its state; needs no definition, since facts say how the tokens moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from immutables import Map

from bus.decider import fold_by_type
from bus.record import Fact
from services.orchestrator.agenda_facts import moved, over, said, with_due
from services.orchestrator.executions import again, changed, closed, holding, opened, with_flow, with_game
from services.orchestrator.flow import Parts, Stop
from services.orchestrator.game import ended
from services.orchestrator.keys import Answer, Keys
from services.orchestrator.pause_facts import held, released, timed
from services.orchestrator.reuse_facts import reused
from services.orchestrator.run import (
    CANCELLED,
    DUE,
    QUALITY,
    RETRYING,
    SPLIT,
    WAITING,
    WORKING,
    Execution,
    Forking,
    Run,
    Runs,
)
from services.orchestrator.run_deadlines import GO_ON, RETRY, RUN, WAIT, name_of, set_if
from services.orchestrator.undo_facts import undoing, undone
from services.records import task

GIVEN_UP = frozenset({"timeout", "worker_lost", "cancelled"})
"""Codes of attempts that ended without a word of their worker."""


# Runs.


def _started(state: Runs, fact: task.RunStarted, time_ms: int) -> Runs:
    run = Run(
        workspace_id=fact.workspace_id,
        run_id=fact.run_id,
        definition=fact.definition,
        inputs=fact.inputs,
        artifacts=Map({artifact.name: artifact for artifact in fact.inputs}),
        fork=Forking(fact.fork.run_id, fact.fork.offset, time_ms - fact.fork.time_ms) if fact.fork else None,
    )
    at_ms = time_ms + fact.timeout_ms if fact.timeout_ms else 0
    begun = state._replace(
        seen=state.seen.add(fact.run_id, time_ms),
        deadlines=set_if(state.deadlines, name_of(RUN, fact.run_id), at_ms),
        keys=_with_key(state, fact, "", time_ms),
        counts=state.counted(fact.workspace_id, 1),
    )
    return _kept(begun, moved(run, "", -1, fact.moves, time_ms), time_ms)


def _reused(state: Runs, fact: task.StateReused, time_ms: int) -> Runs:
    return _kept(state, reused(state.live[fact.run_id], fact, time_ms), time_ms)


def _paused(state: Runs, fact: task.RunPaused, time_ms: int) -> Runs:
    run, deadlines = held(state.live[fact.run_id], state.deadlines, time_ms)
    seen = state.seen.add(fact.ask_id, time_ms)
    return _kept(state._replace(seen=seen, deadlines=deadlines), run, time_ms)


def _resumed(state: Runs, fact: task.RunResumed, time_ms: int) -> Runs:
    run, deadlines = released(state.live[fact.run_id], state.deadlines, time_ms)
    seen = state.seen.add(fact.ask_id, time_ms)
    return _kept(state._replace(seen=seen, deadlines=deadlines), run, time_ms)


def _planned(state: Runs, fact: task.ForkPlanned, time_ms: int) -> Runs:
    return state._replace(seen=state.seen.add(fact.ask_id, time_ms))


def _refused(state: Runs, fact: task.RunRefused, time_ms: int) -> Runs:
    keys = _with_key(state, fact, fact.reason, time_ms)
    return state._replace(seen=state.seen.add(fact.run_id, time_ms), keys=keys)


def _with_key(state: Runs, fact: task.RunStarted | task.RunRefused, reason: str, time_ms: int) -> Keys:
    if not fact.idempotency_key:
        return state.keys
    answer = Answer(fact.run_id, fact.body, reason)
    return state.keys.add(fact.workspace_id, fact.idempotency_key, answer, time_ms)


def _found(state: Runs, fact: task.RunFound, time_ms: int) -> Runs:
    return state._replace(seen=state.seen.add(task.run_id_of(fact.ask_id), time_ms))


def _ask_refused(state: Runs, fact: task.AskRefused, time_ms: int) -> Runs:
    return state._replace(seen=state.seen.add(fact.ask_id, time_ms))


def _result_refused(state: Runs, fact: task.ResultRefused, time_ms: int) -> Runs:
    return state._replace(seen=state.seen.add(fact.attempt_id, time_ms))


def _ending(state: Runs, fact: task.RunEnding, time_ms: int) -> Runs:
    if fact.ask_id:
        state = state._replace(seen=state.seen.add(fact.ask_id, time_ms))
    run = state.live[fact.run_id]._replace(
        ending=fact.status, reason=fact.reason, due=(), said=0, fork=None, pause=None
    )
    state = state._replace(deadlines=state.deadlines.clear(name_of(RUN, fact.run_id)))
    return _kept(state, run._replace(open=_without_due(run.open)), time_ms)


def _without_due(open_: Map[str, Execution]) -> Map[str, Execution]:
    due = [task_id for task_id, execution in open_.items() if execution.status == DUE]
    for task_id in due:
        open_ = open_.delete(task_id)
    return open_


def _run_ended(state: Runs, fact: task.RunEnded, time_ms: int) -> Runs:
    for task_id in sorted(state.live[fact.run_id].open):
        state = _untimed(state, state.live[fact.run_id], task_id)
    deadlines = state.deadlines.clear(name_of(RUN, fact.run_id)).clear(name_of(GO_ON, fact.run_id))
    counts = state.counted(fact.workspace_id, -1)
    return Runs(state.live.delete(fact.run_id), state.seen, deadlines, state.keys, state.late, counts)


# Executions.


def _requested(state: Runs, fact: task.TaskRequested, time_ms: int) -> Runs:
    work, task_id = fact.work, fact.task_id
    run = said(state.live[work.run_id], work.stage, work.execution, work.item)
    before, flow = run.open.get(task_id), run.flow(work.stage, work.item)
    execution = Execution(
        stage=work.stage,
        number=work.execution,
        task_id=task_id,
        order=before.order if before else run.order + 1,
        status=WORKING,
        attempt=fact.attempt,
        attempt_id=fact.attempt_id,
        bases=Map({name: flow.newest(name) for name in work.outputs}),
        began_ms=before.began_ms if before else time_ms,
        due=before.due if before else 0,
        item=work.item,
        mutexes=before.mutexes if before else (),
        sent_back=before.sent_back if before else "",
    )
    if fact.mutexes:
        run, execution = holding(run, execution, fact.mutexes)
    run = again(run, execution) if before else undoing(opened(run, execution, attempts=1), task_id)
    return _kept(_untimed(state, run, task_id), run, time_ms)


def _waiting(state: Runs, fact: task.StageStarted, time_ms: int) -> Runs:
    run = said(state.live[fact.run_id], fact.stage, fact.execution, fact.item)
    if fact.task_id not in run.open:
        execution = Execution(
            stage=fact.stage,
            number=fact.execution,
            task_id=fact.task_id,
            order=run.order + 1,
            began_ms=time_ms,
            item=fact.item,
        )
        run = undoing(opened(run, execution), fact.task_id)
    execution = run.open[fact.task_id]._replace(status=WAITING, waits_for=fact.waits_for)
    if fact.mutexes:
        run, execution = holding(run, execution, fact.mutexes)
    if fact.items is not None:
        run = _with_list(run, execution, fact.items)
    elif fact.moves is not None:
        run = with_flow(run, execution._replace(status=SPLIT), fact.inputs)
        run = moved(run, f"{fact.stage}/", fact.item, fact.moves, time_ms)
    else:
        run = run._replace(open=run.open.set(fact.task_id, execution))
    name = name_of(WAIT, fact.run_id, fact.task_id)
    run, deadlines = timed(run, state.deadlines, name, fact.until_ms, time_ms)
    return _kept(state._replace(deadlines=deadlines), run, time_ms)


def _with_list(run: Run, execution: Execution, items: task.Items) -> Run:
    if execution.parts is None and items.over.inline is None:
        run = run._replace(inner=run.inner._replace(lists=(*run.inner.lists, items.over.digest)))
    return changed(run, execution._replace(status=SPLIT, parts=Parts(items=items)))


def _stopping(state: Runs, fact: task.StageStopping, time_ms: int) -> Runs:
    if fact.ask_id:
        state = state._replace(seen=state.seen.add(fact.ask_id, time_ms))
    run = said(state.live[fact.run_id], fact.stage, fact.execution, fact.item)
    execution = run.open[fact.task_id]
    parts = execution.parts
    assert parts is not None, f"{fact.stage} has no parts that could end"
    execution = execution._replace(
        parts=parts._replace(stop=Stop(fact.status, fact.code, fact.reason, fact.told)),
        status=CANCELLED if fact.told else execution.status,
    )
    if fact.told and not run.is_item(fact.stage, fact.item):
        game = ended(run.flow(fact.stage, fact.item).game, fact.stage, fact.execution)
        run = with_game(run, fact.stage, fact.item, game)
    return _kept(_untimed(state, run, fact.task_id), changed(run, execution), time_ms)


def _cancelling(state: Runs, fact: task.CancelRequested, time_ms: int) -> Runs:
    return state._replace(late=state.late.add(fact.attempt_id, time_ms))


def _given_up(state: Runs, code: str, attempt_id: str, time_ms: int) -> Runs:
    """An attempt failed: where that is the word of whoever lost it, its worker may still come with a result."""
    if code not in GIVEN_UP or not attempt_id:
        return state
    return state._replace(late=state.late.add(attempt_id, time_ms))


def _attempt_failed(state: Runs, fact: task.AttemptFailed, time_ms: int) -> Runs:
    state = _given_up(state, fact.code, fact.attempt_id, time_ms)
    run = state.live[fact.run_id]
    execution = run.open[fact.task_id]._replace(status=RETRYING, attempt_id="")
    if fact.code == QUALITY:
        execution = execution._replace(sent_back=fact.reason)
    name = name_of(RETRY, fact.run_id, fact.task_id)
    run, deadlines = timed(run, state.deadlines, name, fact.retry_at_ms, time_ms)
    return _kept(state._replace(deadlines=deadlines), run._replace(open=run.open.set(fact.task_id, execution)), time_ms)


def _ended(state: Runs, fact: task.StageCompleted | task.StageEnded, time_ms: int) -> Runs:
    if fact.ask_id:
        state = state._replace(seen=state.seen.add(fact.ask_id, time_ms))
    if isinstance(fact, task.StageEnded) and (execution := state.live[fact.run_id].open.get(fact.task_id)):
        state = _given_up(state, fact.code, execution.attempt_id, time_ms)
    run = closed(over(state.live[fact.run_id], fact.stage, fact.execution, fact.item, fact.task_id), fact)
    run = undone(with_due(run, fact.moves, time_ms), fact)
    return _kept(_untimed(state, run, fact.task_id), run, time_ms)


def _moved(state: Runs, fact: task.TokensMoved, time_ms: int) -> Runs:
    return _kept(state, moved(state.live[fact.run_id], fact.level, fact.item, fact.moves, time_ms), time_ms)


def _changes_nothing(state: Runs, fact: Fact, time_ms: int) -> Runs:
    return state


# Parts.


def _untimed(state: Runs, run: Run, task_id: str) -> Runs:
    if not state.deadlines.times:
        return state
    deadlines = state.deadlines.clear(name_of(WAIT, run.run_id, task_id)).clear(name_of(RETRY, run.run_id, task_id))
    return state if deadlines is state.deadlines else state._replace(deadlines=deadlines)


def _kept(state: Runs, run: Run, time_ms: int) -> Runs:
    """The state with this run, which goes on at once where something is due, ready or to be cancelled."""
    deadlines = state.deadlines
    if (run.due or run.is_closing or run.inner.ready or run.fork) and run.pause is None:
        deadlines = deadlines.set(name_of(GO_ON, run.run_id), time_ms)
    elif deadlines.times:
        deadlines = deadlines.clear(name_of(GO_ON, run.run_id))
    return Runs(state.live.set(run.run_id, run), state.seen, deadlines, state.keys, state.late, state.counts)


_FOLDS: Mapping[type[Fact], Callable[[Runs, Any, int], Runs]] = {
    task.RunStarted: _started,
    task.StateReused: _reused,
    task.ForkPlanned: _planned,
    task.RunPaused: _paused,
    task.RunResumed: _resumed,
    task.RunRefused: _refused,
    task.RunFound: _found,
    task.AskRefused: _ask_refused,
    task.ResultRefused: _result_refused,
    task.TaskRequested: _requested,
    task.StageStarted: _waiting,
    task.StageStopping: _stopping,
    task.ReviewRequested: _changes_nothing,
    task.AttemptFailed: _attempt_failed,
    task.CancelRequested: _cancelling,
    task.StageCompleted: _ended,
    task.StageEnded: _ended,
    task.TokensMoved: _moved,
    task.ArtifactsConflicted: _changes_nothing,
    task.RunEnding: _ending,
    task.RunEnded: _run_ended,
}

evolve = fold_by_type("orchestrator.runs", _FOLDS)
"""The state after this fact."""

SAYS = frozenset(_FOLDS)
"""The facts of this role."""
