"""How the times of a run stand still while it is paused."""

from __future__ import annotations

from bus.deadline import Deadlines
from services.orchestrator.run import Pause, Run
from services.orchestrator.run_deadlines import GO_ON, RETRY, RUN, WAIT, name_of, parts_of


def held(run: Run, deadlines: Deadlines, time_ms: int) -> tuple[Run, Deadlines]:
    """The run as paused, and the deadlines without its own. What waits for a date still waits for that date."""
    names = [name_of(RUN, run.run_id)]
    for task_id in sorted(run.open):
        names += name_of(WAIT, run.run_id, task_id), name_of(RETRY, run.run_id, task_id)
    pause = Pause()
    for name in names:
        at_ms = deadlines.times.get(name)
        if at_ms is not None:
            deadlines, pause = deadlines.clear(name), _with(pause, run, name, at_ms, time_ms)
    return run._replace(pause=pause), deadlines.clear(name_of(GO_ON, run.run_id))


def released(run: Run, deadlines: Deadlines, time_ms: int) -> tuple[Run, Deadlines]:
    """The run as it goes on, and the deadlines with its own that are still wanted."""
    pause = run.pause
    assert pause is not None, f"{run.run_id} is not paused"
    times = [(name, time_ms + left_ms) for name, left_ms in sorted(pause.left.items())]
    times += [(name, max(time_ms, at_ms)) for name, at_ms in sorted(pause.dates.items())]
    for name, at_ms in times:
        kind, _, task_id = parts_of(name)
        if kind == RUN or task_id in run.open:
            deadlines = deadlines.set(name, at_ms)
    return run._replace(pause=None), deadlines


def timed(run: Run, deadlines: Deadlines, name: str, at_ms: int, time_ms: int) -> tuple[Run, Deadlines]:
    """With this deadline, or without it if the time is 0; of a paused run it stands still at once."""
    if run.pause is None:
        return run, deadlines.set(name, at_ms) if at_ms else deadlines.clear(name)
    left, dates = _without(run.pause, name)
    pause = Pause(left, dates)
    return run._replace(pause=_with(pause, run, name, at_ms, time_ms) if at_ms else pause), deadlines


def _with(pause: Pause, run: Run, name: str, at_ms: int, time_ms: int) -> Pause:
    _, _, task_id = parts_of(name)
    execution = run.open.get(task_id)
    if execution is not None and execution.waits_for == "date":
        return pause._replace(dates=pause.dates.set(name, at_ms))
    return pause._replace(left=pause.left.set(name, max(0, at_ms - time_ms)))


def _without(pause: Pause, name: str) -> Pause:
    left = pause.left.delete(name) if name in pause.left else pause.left
    return Pause(left, pause.dates.delete(name) if name in pause.dates else pause.dates)
