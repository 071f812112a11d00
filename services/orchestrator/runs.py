"""The role orchestrator.runs: stages, joins, loops, retries, waits and ends of runs; only it judges results.

What the parts hold: `run` the state, `run_facts` and `run_deadlines` what a fact changes in it, `tokens` the game that
says what begins, `definition` what is run; `starting`, `beginning`, `ending`, `compensation` and `agenda` the
decisions, `turn` one of them on one run, `ways`, `outputs`, `retry` and `feedback` what they judge by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from bus.deadline import Deadlines
from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.orchestrator import agenda
from services.orchestrator.asked import asked_run, refuse_ask
from services.orchestrator.asking import request
from services.orchestrator.definition import definition_of
from services.orchestrator.end_facts import Account, cancelling
from services.orchestrator.ending import (
    CANCELLED_MAX,
    cancel,
    complete,
    end_run,
    fail,
    fail_attempt,
    go_on_ending,
    stop,
)
from services.orchestrator.feedback import feedback_content, result_of
from services.orchestrator.flow import NO_INNER
from services.orchestrator.fork import MEMORY, fork, go_on_forking
from services.orchestrator.lists import ListInvalid
from services.orchestrator.mapping import wanted
from services.orchestrator.pausing import cancel_task, go_on, pause
from services.orchestrator.quality import find_fault, send_back
from services.orchestrator.run import RETRYING, SPLIT, WAITING, WORKING, Execution, Run, Runs
from services.orchestrator.run_deadlines import GO_ON, RETRY, RUN, WAIT, parts_of
from services.orchestrator.run_facts import SAYS, evolve
from services.orchestrator.starting import start, start_scheduled
from services.orchestrator.turn import Entry, Turn
from services.records.review import ReviewClosed
from services.records.schedule import ScheduledRunCancelled, ScheduledRunRequested
from services.records.task import (
    ResultRefused,
    RunCancelRequested,
    RunEnded,
    RunForkRequested,
    RunPauseRequested,
    RunRequested,
    RunResumeRequested,
    SignalRequested,
    TaskAnswerRequested,
    TaskCancelRequested,
    TaskCompleted,
    TaskFailed,
    TaskLost,
)


def needs(state: Runs, heard: Envelope) -> tuple[str, ...]:
    """The definition of the run that an input is about, the lists that its maps go through, and what they gather."""
    record = heard.record
    if isinstance(record, RunRequested):
        return (record.definition,)
    if isinstance(record, ScheduledRunRequested):
        return (record.start.definition,)
    if isinstance(record, RunForkRequested):
        return (record.definition,) if record.definition else ()
    run_id = parts_of(record.id)[1] if isinstance(record, DeadlineReached) else record.run_id
    run = state.live.get(run_id)
    if run is None:
        return ()
    if run.inner is NO_INNER:
        return (run.definition,)
    gathered = wanted(run) if isinstance(record, DeadlineReached) else ()
    return (run.definition, *dict.fromkeys((*run.inner.lists, *gathered)))


def decide(draft: Draft[Runs], heard: Envelope) -> None:
    if isinstance(heard.record, DeadlineReached):
        _meet_deadline(draft, heard.record)
    elif decision := _DECISIONS.get(type(heard.record)):
        decision(draft, heard)


def _turn(draft: Draft[Runs], run: Run) -> Turn | None:
    """A turn on a run; a run whose definition is lost ends."""
    data = draft.blobs.get(run.definition)
    if data is not None:
        return Turn(draft, run.run_id, definition_of(run.definition, data), agenda)
    reason = f"its definition {run.definition} is no longer in the blob store"
    for execution in sorted(run.open.values(), key=lambda each: each.order)[:CANCELLED_MAX]:
        if execution.attempt_id:
            draft.add(cancelling(run, execution, reason))
    draft.add(RunEnded(workspace_id=run.workspace_id, run_id=run.run_id, status="failed", reason=reason))
    return None


# Reports of nodes and of the roster.


def _hear_completed(draft: Draft[Runs], heard: Envelope) -> None:
    report: TaskCompleted = heard.record
    run, execution = _open_attempt(draft.state, report)
    if run is None or execution is None:
        if _is_late(draft.state, report):
            draft.add(_refusal(report, "its run has ended" if run is None else "the attempt is not open"))
        return
    if turn := _turn(draft, run):
        told = Account(report.instance_id, report.reads, report.started_at_ms, report.usage)
        if fault := find_fault(report.quality, report.quality_threshold):
            send_back(turn, execution, fault, told)
        else:
            complete(turn, execution, report.result, report.outputs, told)
        turn.finish()


def _hear_failed(draft: Draft[Runs], heard: Envelope) -> None:
    report: TaskFailed | TaskLost = heard.record
    run, execution = _open_attempt(draft.state, report)
    if run is None or execution is None:
        return
    if turn := _turn(draft, run):
        started_at_ms = report.started_at_ms if isinstance(report, TaskFailed) else 0
        told = Account(instance_id=report.instance_id, started_at_ms=started_at_ms)
        fail_attempt(turn, execution, report.code, report.reason, told)
        turn.finish()


def _open_attempt(state: Runs, report: TaskCompleted | TaskFailed | TaskLost) -> tuple[Run | None, Execution | None]:
    run = state.live.get(report.run_id)
    if run is None or run.is_closing:
        return None, None
    execution = run.open.get(report.task_id)
    if execution is None or execution.status != WORKING or execution.attempt_id != report.attempt_id:
        return run, None
    return run, None if run.is_stopping(execution) else execution


def _is_late(state: Runs, report: TaskCompleted) -> bool:
    """Whether this is the first result of an attempt that counts no more. A report that was judged and comes again,
    which an append of unknown outcome may lead to, is passed over: its facts would have the ids of the judgement."""
    if report.attempt_id in state.seen:
        return False
    run = state.live.get(report.run_id)
    execution = run.open.get(report.task_id) if run else None
    if execution is not None and execution.status == WORKING and execution.attempt_id == report.attempt_id:
        return True
    return report.attempt_id in state.late or (run is None and report.run_id not in state.seen)


def _refusal(report: TaskCompleted, reason: str) -> ResultRefused:
    return ResultRefused(
        workspace_id=report.workspace_id,
        run_id=report.run_id,
        task_id=report.task_id,
        attempt_id=report.attempt_id,
        reason=reason,
    )


def _hear_review(draft: Draft[Runs], heard: Envelope) -> None:
    closed: ReviewClosed = heard.record
    run = draft.state.live.get(closed.run_id)
    execution = run.open.get(closed.review_id) if run and not run.ending else None
    if run is None or execution is None or not _waits(run, execution, "review"):
        return
    if turn := _turn(draft, run):
        stage = turn.stage(execution.stage)
        complete(turn, execution, result_of(closed, execution.number), feedback_content(stage, closed))
        turn.finish()


# Asks.


def _hear_cancel(draft: Draft[Runs], heard: Envelope) -> None:
    asked: RunCancelRequested | ScheduledRunCancelled = heard.record
    run = asked_run(draft, heard, asked.workspace_id, asked.run_id)
    if run is None:
        return
    if run.ending:
        refuse_ask(draft, heard, asked.workspace_id, asked.run_id, f"the run {asked.run_id} is ending already")
    elif turn := _turn(draft, run):
        end_run(turn, "cancelled", asked.reason or f"cancelled by {asked.actor or 'somebody'}", ask_id=heard.id)
        turn.finish()


def _hear_signal(draft: Draft[Runs], heard: Envelope) -> None:
    asked: SignalRequested = heard.record
    run = asked_run(draft, heard, asked.workspace_id, asked.run_id)
    if run is None:
        return
    waits_for = f"signal:{asked.signal}"
    waiting = sorted((e for e in run.open.values() if _waits(run, e, waits_for)), key=lambda each: each.order)
    result = _signal_result(asked)
    if run.ending or not waiting or result is None:
        reason = f"no stage of {asked.run_id} waits for the signal `{asked.signal}`"
        refuse_ask(draft, heard, asked.workspace_id, asked.run_id, reason if result else "the payload is no JSON")
    elif turn := _turn(draft, run):
        also = tuple([Entry(e.stage, e.number, "trigger", result, e.item) for e in waiting[1:]])
        complete(turn, waiting[0], result, account=Account(ask_id=heard.id, also=also))
        turn.finish()


def _signal_result(asked: SignalRequested) -> str | None:
    try:
        return json.dumps({"signal": asked.signal, "payload": json.loads(asked.payload)}, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def _hear_answer(draft: Draft[Runs], heard: Envelope) -> None:
    asked: TaskAnswerRequested = heard.record
    run = asked_run(draft, heard, asked.workspace_id, asked.run_id)
    if run is None:
        return
    execution = run.open.get(asked.task_id)
    if run.is_closing or execution is None or not _waits(run, execution, "person"):
        reason = f"no task {asked.task_id} of {asked.run_id} waits for a person"
        refuse_ask(draft, heard, asked.workspace_id, asked.run_id, reason)
    elif turn := _turn(draft, run):
        complete(turn, execution, asked.result, asked.outputs, Account(ask_id=heard.id))
        turn.finish()


def _waits(run: Run, execution: Execution, waits_for: str) -> bool:
    """Whether an execution waits for this, and not to be cancelled with what it is in."""
    waits = execution.waits_for == waits_for and execution.status == WAITING
    return waits and not run.is_stopping(execution)


def _hear_task_cancel(draft: Draft[Runs], heard: Envelope) -> None:
    asked: TaskCancelRequested = heard.record
    run = asked_run(draft, heard, asked.workspace_id, asked.run_id)
    if run is not None and (turn := _turn(draft, run)):
        cancel_task(turn, heard)
        turn.finish()


# Deadlines.


def _meet_deadline(draft: Draft[Runs], reached: DeadlineReached) -> None:
    kind, run_id, task_id = parts_of(reached.id)
    run = draft.state.live.get(run_id)
    turn = _turn(draft, run) if run is not None and _is_due(draft, reached) else None
    if run is None or turn is None:
        return
    if kind == GO_ON and run.fork is not None:
        go_on_forking(draft, run, turn.definition)
    elif run.is_closing:
        go_on_ending(turn)
    elif kind == GO_ON:
        turn.say_due()
    elif kind == RUN:
        end_run(turn, "failed", "the run did not end within its timeout")
    elif execution := run.open.get(task_id):
        _meet_task_deadline(turn, kind, execution)
    turn.finish()


def _is_due(draft: Draft[Runs], reached: DeadlineReached) -> bool:
    at_ms = draft.state.deadlines.times.get(reached.id)
    return at_ms is not None and at_ms <= draft.now_ms


def _meet_task_deadline(turn: Turn, kind: str, execution: Execution) -> None:
    if turn.run.is_stopping(execution):
        cancel(turn, execution, "what it is a part of ends")
    elif kind == RETRY and execution.status == RETRYING:
        _try_again(turn, execution)
    elif kind == WAIT and execution.status == SPLIT:
        stop(turn, execution, "failed", "timeout", "it did not end within its timeout")
    elif kind == WAIT and execution.status == WAITING and execution.waits_for == "person":
        fail(turn, execution, "timeout", "nobody answered within the timeout")
    elif kind == WAIT and execution.status == WAITING:
        complete(turn, execution, json.dumps({"time": turn.now_ms}))


def _try_again(turn: Turn, execution: Execution) -> None:
    stage = turn.stage(execution.stage)
    try:
        request(turn, stage, execution.number, execution.item, attempt=execution.attempt + 1)
    except ListInvalid as error:
        fail(turn, execution, "input_invalid", f"the list that it is an item of {error}")


_DECISIONS: Mapping[type[Record], Callable[[Draft[Runs], Envelope], None]] = {
    RunRequested: start,
    ScheduledRunRequested: start_scheduled,
    RunForkRequested: fork,
    RunCancelRequested: _hear_cancel,
    ScheduledRunCancelled: _hear_cancel,
    RunPauseRequested: pause,
    RunResumeRequested: go_on,
    TaskCancelRequested: _hear_task_cancel,
    SignalRequested: _hear_signal,
    TaskAnswerRequested: _hear_answer,
    TaskCompleted: _hear_completed,
    TaskFailed: _hear_failed,
    TaskLost: _hear_failed,
    ReviewClosed: _hear_review,
}


def deadlines(state: Runs) -> Deadlines:
    """When it wants to be woken."""
    return state.deadlines


RUNS: Role[Runs] = Role(
    name="orchestrator.runs",
    home="task",
    hears=frozenset(_DECISIONS),
    says=SAYS,
    quarantines=frozenset({"task"}),
    initial=Runs,
    decide=decide,
    evolve=evolve,
    deadlines=deadlines,
    needs=needs,
    memory=MEMORY,
)
