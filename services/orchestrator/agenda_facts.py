"""What facts change in what is due in a run: said in its order, unless its execution ends before."""

from __future__ import annotations

from services.orchestrator.executions import opened, with_game
from services.orchestrator.game import applied, ended
from services.orchestrator.run import CANCELLED, Execution, Run, task_id_of
from services.records.token import Due, Moves


def said(run: Run, stage: str, execution: int, item: int) -> Run:
    """The run without what was due next, if this is it."""
    if run.said >= len(run.due) or not _is_of(run.due[run.said], stage, execution, item):
        return run
    run = _counted(run, stage, execution, item, -1)
    return run._replace(said=run.said + 1) if run.said + 1 < len(run.due) else run._replace(due=(), said=0)


def over(run: Run, stage: str, execution: int, item: int, task_id: str) -> Run:
    """The run without anything that was due of this execution."""
    run = said(run, stage, execution, item)
    opened = run.open.get(task_id)
    if opened is None or not opened.due:
        return run
    kept = tuple([due for due in run.due[run.said :] if not _is_of(due, stage, execution, item)])
    return run._replace(due=kept, said=0)


def moved(run: Run, stage: str, item: int, moves: Moves | None, time_ms: int) -> Run:
    """The run after tokens moved in the flow of this stage; what is due and begins counts as under way from here on."""
    if moves is None:
        return run
    return with_due(with_game(run, stage, item, applied(run.flow(stage, item).game, moves)), moves, time_ms)


def with_due(run: Run, moves: Moves | None, time_ms: int) -> Run:
    """The run with what is due by these moves."""
    if moves is None or not moves.due:
        return run
    for due in moves.due:
        run = _due(run, due, time_ms)
    return run._replace(due=(*run.due[run.said :], *moves.due), said=0)


def _due(run: Run, due: Due, time_ms: int) -> Run:
    task_id = task_id_of(run.run_id, due.stage, due.execution, due.item)
    if due.what == "begin":
        begun = Execution(
            stage=due.stage, number=due.execution, task_id=task_id, order=run.order + 1, began_ms=time_ms, item=due.item
        )
        run = opened(run, begun)
    elif due.what in ("skip", "cancel"):
        flow = run.flow(due.stage, due.item)
        run = with_game(run, due.stage, due.item, ended(flow.game, due.stage, due.execution))
    if due.what == "cancel" and task_id in run.open:
        run = run._replace(open=run.open.set(task_id, run.open[task_id]._replace(status=CANCELLED)))
    return _counted(run, due.stage, due.execution, due.item, 1)


def _is_of(due: Due, stage: str, execution: int, item: int) -> bool:
    return (due.stage, due.execution, due.item) == (stage, execution, item)


def _counted(run: Run, stage: str, execution: int, item: int, change: int) -> Run:
    task_id = task_id_of(run.run_id, stage, execution, item)
    opened = run.open.get(task_id)
    return run._replace(open=run.open.set(task_id, opened._replace(due=opened.due + change))) if opened else run
