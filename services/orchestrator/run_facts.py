"""What each fact of the runs role changes in its state; needs no definition, since facts say how the tokens moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from immutables import Map

from bus.errors import UnknownRecordType
from bus.record import Fact
from services.orchestrator.game import applied, attempted, begun, ended
from services.orchestrator.keys import Answer, Keys
from services.orchestrator.run import (
    CANCELLED,
    DUE,
    RETRYING,
    WAITING,
    WORKING,
    Execution,
    Run,
    Runs,
    task_id_of,
)
from services.orchestrator.run_deadlines import GO_ON, RETRY, RUN, WAIT, name_of, set_if
from services.records import task
from services.records.content import Artifact
from services.records.token import Due, Moves


def evolve(state: Runs, fact: Fact, time_ms: int) -> Runs:
    """The state after this fact; raises UnknownRecordType for one that is not of this role."""
    fold = _FOLDS.get(type(fact))
    if fold is None:
        raise UnknownRecordType(f"orchestrator.runs cannot fold a {type(fact).__name__}")
    return fold(state, fact, time_ms)


def _started(state: Runs, fact: task.RunStarted, time_ms: int) -> Runs:
    run = Run(
        workspace_id=fact.workspace_id,
        run_id=fact.run_id,
        definition=fact.definition,
        inputs=fact.inputs,
        artifacts=Map({artifact.name: artifact for artifact in fact.inputs}),
    )
    at_ms = time_ms + fact.timeout_ms if fact.timeout_ms else 0
    timed = state._replace(
        seen=state.seen.add(fact.run_id, time_ms),
        deadlines=set_if(state.deadlines, name_of(RUN, fact.run_id), at_ms),
        keys=_with_key(state, fact, "", time_ms),
    )
    return _kept(timed, _moved(run, fact.moves, time_ms), time_ms)


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


def _requested(state: Runs, fact: task.TaskRequested, time_ms: int) -> Runs:
    work, task_id = fact.work, fact.task_id
    run = _said(state.live[work.run_id], work.stage, work.execution)
    before = run.open.get(task_id)
    execution = Execution(
        stage=work.stage,
        number=work.execution,
        task_id=task_id,
        order=before.order if before else run.order + 1,
        status=WORKING,
        attempt=fact.attempt,
        attempt_id=fact.attempt_id,
        bases=Map({name: run.newest(name) for name in work.outputs}),
        began_ms=before.began_ms if before else time_ms,
        due=before.due if before else 0,
    )
    run = run._replace(
        game=attempted(run.game, work.stage) if before else begun(run.game, work.stage, work.execution, time_ms, 1),
        open=run.open.set(task_id, execution),
        order=max(run.order, execution.order),
    )
    return _kept(_untimed(state, run, task_id), run, time_ms)


def _waiting(state: Runs, fact: task.StageStarted, time_ms: int) -> Runs:
    run = _begun(state.live[fact.run_id], fact.stage, fact.execution, fact.task_id, time_ms)
    execution = run.open[fact.task_id]._replace(status=WAITING, waits_for=fact.waits_for)
    run = run._replace(open=run.open.set(fact.task_id, execution))
    name = name_of(WAIT, fact.run_id, fact.task_id)
    timed = state._replace(deadlines=set_if(state.deadlines, name, fact.until_ms))
    return _kept(timed, run, time_ms)


def _review_requested(state: Runs, fact: task.ReviewRequested, time_ms: int) -> Runs:
    return state


def _attempt_failed(state: Runs, fact: task.AttemptFailed, time_ms: int) -> Runs:
    run = state.live[fact.run_id]
    execution = run.open[fact.task_id]._replace(status=RETRYING, attempt_id="")
    name = name_of(RETRY, fact.run_id, fact.task_id)
    timed = state._replace(deadlines=set_if(state.deadlines, name, fact.retry_at_ms))
    return _kept(timed, run._replace(open=run.open.set(fact.task_id, execution)), time_ms)


def _cancel_requested(state: Runs, fact: task.CancelRequested, time_ms: int) -> Runs:
    return state


def _ended(state: Runs, fact: task.StageCompleted | task.StageEnded, time_ms: int) -> Runs:
    if isinstance(fact, task.StageCompleted) and fact.ask_id:
        state = state._replace(seen=state.seen.add(fact.ask_id, time_ms))
    run = _over(state.live[fact.run_id], fact.stage, fact.execution, fact.task_id)
    completed = isinstance(fact, task.StageCompleted)
    game = ended(run.game, fact.stage, fact.execution, completed=completed)
    run = run._replace(
        game=applied(game, fact.moves) if fact.moves else game,
        artifacts=_with_artifacts(run.artifacts, fact.outputs),
        open=run.open.delete(fact.task_id) if fact.task_id in run.open else run.open,
    )
    run = _with_all_due(run, fact.moves, time_ms)
    return _kept(_untimed(state, run, fact.task_id), run, time_ms)


def _conflicted(state: Runs, fact: task.ArtifactsConflicted, time_ms: int) -> Runs:
    return state


def _ending(state: Runs, fact: task.RunEnding, time_ms: int) -> Runs:
    if fact.ask_id:
        state = state._replace(seen=state.seen.add(fact.ask_id, time_ms))
    run = state.live[fact.run_id]._replace(ending=fact.status, reason=fact.reason, due=(), said=0)
    return _kept(state, run._replace(open=_without_due(run.open)), time_ms)


def _run_ended(state: Runs, fact: task.RunEnded, time_ms: int) -> Runs:
    for task_id in sorted(state.live[fact.run_id].open):
        state = _untimed(state, state.live[fact.run_id], task_id)
    deadlines = state.deadlines.clear(name_of(RUN, fact.run_id)).clear(name_of(GO_ON, fact.run_id))
    return Runs(state.live.delete(fact.run_id), state.seen, deadlines, state.keys)


# Parts of a run.


def _begun(run: Run, stage: str, execution: int, task_id: str, time_ms: int) -> Run:
    """The run with this execution under way, unless it is already; what was due of it has been said."""
    run = _said(run, stage, execution)
    return run if task_id in run.open else _opened(run, stage, execution, task_id, time_ms)


def _opened(run: Run, stage: str, execution: int, task_id: str, time_ms: int) -> Run:
    order = run.order + 1
    opened = Execution(stage=stage, number=execution, task_id=task_id, order=order, began_ms=time_ms)
    game = begun(run.game, stage, execution, time_ms)
    return run._replace(game=game, open=run.open.set(task_id, opened), order=order)


def _said(run: Run, stage: str, execution: int) -> Run:
    """The run without what was due next, if this is it."""
    if run.said >= len(run.due) or not _is_of(run.due[run.said], stage, execution):
        return run
    run = _with_due(run, stage, execution, -1)
    return run._replace(said=run.said + 1) if run.said + 1 < len(run.due) else run._replace(due=(), said=0)


def _over(run: Run, stage: str, execution: int, task_id: str) -> Run:
    """The run without anything that was due of this execution."""
    run = _said(run, stage, execution)
    opened = run.open.get(task_id)
    if opened is None or not opened.due:
        return run
    kept = tuple([due for due in run.due[run.said :] if not _is_of(due, stage, execution)])
    return run._replace(due=kept, said=0)


def _is_of(due: Due, stage: str, execution: int) -> bool:
    return (due.stage, due.execution) == (stage, execution)


def _with_due(run: Run, stage: str, execution: int, change: int) -> Run:
    task_id = task_id_of(run.run_id, stage, execution)
    opened = run.open.get(task_id)
    return run._replace(open=run.open.set(task_id, opened._replace(due=opened.due + change))) if opened else run


def _moved(run: Run, moves: Moves | None, time_ms: int) -> Run:
    """The run after its tokens moved; what is due and begins counts as under way from here on."""
    run = run._replace(game=applied(run.game, moves)) if moves else run
    return _with_all_due(run, moves, time_ms)


def _with_all_due(run: Run, moves: Moves | None, time_ms: int) -> Run:
    if moves is None or not moves.due:
        return run
    for due in moves.due:
        run = _due(run, due, time_ms)
    return run._replace(due=(*run.due[run.said :], *moves.due), said=0)


def _due(run: Run, due: Due, time_ms: int) -> Run:
    task_id = task_id_of(run.run_id, due.stage, due.execution)
    if due.what == "begin":
        run = _opened(run, due.stage, due.execution, task_id, time_ms)
    elif due.what in ("skip", "cancel"):
        run = run._replace(game=ended(run.game, due.stage, due.execution))
    if due.what == "cancel" and task_id in run.open:
        run = run._replace(open=run.open.set(task_id, run.open[task_id]._replace(status=CANCELLED)))
    return _with_due(run, due.stage, due.execution, 1)


def _without_due(open_: Map[str, Execution]) -> Map[str, Execution]:
    due = [task_id for task_id, execution in open_.items() if execution.status == DUE]
    for task_id in due:
        open_ = open_.delete(task_id)
    return open_


def _with_artifacts(artifacts: Map[str, Artifact], outputs: tuple[Artifact, ...]) -> Map[str, Artifact]:
    for artifact in outputs:
        artifacts = artifacts.set(artifact.name, artifact)
    return artifacts


def _untimed(state: Runs, run: Run, task_id: str) -> Runs:
    if not state.deadlines.times:
        return state
    deadlines = state.deadlines.clear(name_of(WAIT, run.run_id, task_id)).clear(name_of(RETRY, run.run_id, task_id))
    return state if deadlines is state.deadlines else state._replace(deadlines=deadlines)


def _kept(state: Runs, run: Run, time_ms: int) -> Runs:
    """The state with this run, which goes on at once where something is due or to be cancelled."""
    deadlines = state.deadlines
    if run.due or run.ending:
        deadlines = deadlines.set(name_of(GO_ON, run.run_id), time_ms)
    elif deadlines.times:
        deadlines = deadlines.clear(name_of(GO_ON, run.run_id))
    return Runs(state.live.set(run.run_id, run), state.seen, deadlines, state.keys)


_FOLDS: Mapping[type[Fact], Callable[[Runs, Any, int], Runs]] = {
    task.RunStarted: _started,
    task.RunRefused: _refused,
    task.RunFound: _found,
    task.AskRefused: _ask_refused,
    task.ResultRefused: _result_refused,
    task.TaskRequested: _requested,
    task.StageStarted: _waiting,
    task.ReviewRequested: _review_requested,
    task.AttemptFailed: _attempt_failed,
    task.CancelRequested: _cancel_requested,
    task.StageCompleted: _ended,
    task.StageEnded: _ended,
    task.ArtifactsConflicted: _conflicted,
    task.RunEnding: _ending,
    task.RunEnded: _run_ended,
}

SAYS = frozenset(_FOLDS)
"""The facts of this role."""
