"""How executions come, change and go in the state of a run, with what they are parts of and what they hold."""

from __future__ import annotations

from collections.abc import Iterable

from immutables import Map

from services.orchestrator.flow import Flow, Given, Parts, key_of, without
from services.orchestrator.game import Game, StageState, applied, attempted, begun, ended
from services.orchestrator.run import Execution, Run, task_id_of
from services.records.content import Artifact
from services.records.task import StageCompleted, StageEnded


def with_game(run: Run, stage: str, item: int, game: Game) -> Run:
    """The run with this game in the flow of a stage."""
    if "/" not in stage:
        return run._replace(game=game)
    key = run.flow_key(stage, item)
    flows = run.inner.flows
    return run._replace(inner=run.inner._replace(flows=flows.set(key, flows[key]._replace(game=game))))


def opened(run: Run, execution: Execution, attempts: int = 0) -> Run:
    """The run with an execution under way that was not, and so many attempts asked for at once."""
    stage, item = execution.stage, execution.item
    open_, order = run.open.set(execution.task_id, execution), max(run.order, execution.order)
    if item < 0 and "/" not in stage:
        game = begun(run.game, stage, execution.number, execution.began_ms, attempts)
        return run.after(game, run.artifacts, open_, order)
    run = run._replace(open=open_, order=order)
    if run.is_item(stage, item):
        run = _count_item(run, execution, attempts)
    else:
        run = with_game(
            run, stage, item, begun(run.flow(stage, item).game, stage, execution.number, execution.began_ms)
        )
        run = _count_in_flow(run, stage, item, 1)
    return _with_attempts(run, stage, attempts)


def again(run: Run, execution: Execution) -> Run:
    """The run with a further attempt at an execution under way."""
    open_ = run.open.set(execution.task_id, execution)
    if "/" not in execution.stage:
        return run._replace(game=attempted(run.game, execution.stage), open=open_)
    return _with_attempts(run._replace(open=open_), execution.stage, 1)


def _with_attempts(run: Run, stage: str, attempts: int) -> Run:
    if not attempts or "/" not in stage:
        return run
    counted = run.inner.attempts
    return run._replace(inner=run.inner._replace(attempts=counted.set(stage, counted.get(stage, 0) + attempts)))


def attempts_at(run: Run, stage: str) -> int:
    """How many attempts at a stage there were in the run, over all its executions and items."""
    if "/" in stage:
        return run.inner.attempts.get(stage, 0)
    state = run.game.stages.get(stage)
    return state.attempts if state else 0


def changed(run: Run, execution: Execution) -> Run:
    """The run with this execution as it is now; what has parts may be ready to go on."""
    run = run._replace(open=run.open.set(execution.task_id, execution))
    return run if execution.parts is None else _readied(run, execution)


def _count_item(run: Run, execution: Execution, attempts: int) -> Run:
    whole = run.open[task_id_of(run.run_id, execution.stage, execution.number, -1)]
    parts = whole.parts
    assert parts is not None, f"{execution.stage} has items and is no map"
    if "/" not in execution.stage and attempts:
        run = run._replace(game=attempted(run.game, execution.stage))
    parts = parts._replace(begun=max(parts.begun, execution.item + 1), open=parts.open + 1)
    return changed(run, whole._replace(parts=parts))


def _count_in_flow(run: Run, stage: str, item: int, change: int) -> Run:
    if "/" not in stage:
        return run
    key, flows = run.flow_key(stage, item), run.inner.flows
    flow = flows[key]._replace(open=flows[key].open + change)
    run = run._replace(inner=run.inner._replace(flows=flows.set(key, flow)))
    owner = run.open.get(flow.owner)
    return _readied(run, owner) if owner else run


def _readied(run: Run, execution: Execution) -> Run:
    """The run with an execution among those that can go on, or not among them, as it is."""
    ready, is_ready = run.inner.ready, _is_ready(run, execution)
    if is_ready == (execution.task_id in ready):
        return run
    ready = (*ready, execution.task_id) if is_ready else without(ready, execution.task_id)
    return run._replace(inner=run.inner._replace(ready=ready))


def _is_ready(run: Run, execution: Execution) -> bool:
    parts = execution.parts
    if parts is None or parts.stop is not None:
        return parts is not None
    if parts.items is None:
        return run.inner.flows[key_of(execution.stage, execution.item)].open == 0
    if parts.begun < parts.items.count:
        return parts.open < parts.items.parallel_max
    return parts.items.count < 0 or parts.open == 0


# Ends.


def closed(run: Run, end: StageCompleted | StageEnded) -> Run:
    """The run after an execution ended, also one that never began."""
    stage, item, task_id = end.stage, end.item, end.task_id
    completed = isinstance(end, StageCompleted)
    if item >= 0 or "/" in stage:
        return _closed_inside(run, end, completed=completed)
    game, gone, artifacts = (
        ended(run.game, stage, end.execution, completed=completed),
        run.open.get(task_id),
        run.artifacts,
    )
    for artifact in end.outputs:
        artifacts = artifacts.set(artifact.name, artifact)
    open_ = run.open if gone is None else run.open.delete(task_id)
    run = run.after(game if end.moves is None else applied(game, end.moves), artifacts, open_, run.order)
    return _released(run, gone) if gone is not None and (gone.mutexes or gone.parts) else run


def _closed_inside(run: Run, end: StageCompleted | StageEnded, *, completed: bool) -> Run:
    stage, item, gone = end.stage, end.item, run.open.get(end.task_id)
    run = _with_outputs(run, stage, item, end.outputs)
    if gone is not None:
        run = run._replace(open=run.open.delete(end.task_id))
    if run.is_item(stage, item):
        given = Given("" if end.outputs else end.result, end.outputs) if isinstance(end, StageCompleted) else None
        run = _item_closed(run, stage, end.execution, item, given)
    else:
        game = ended(run.flow(stage, item).game, stage, end.execution, completed=completed)
        run = with_game(run, stage, item, game if end.moves is None else applied(game, end.moves))
        run = _count_in_flow(run, stage, item, -1) if gone else run
    return _released(run, gone) if gone is not None and (gone.mutexes or gone.parts) else run


def _item_closed(run: Run, stage: str, number: int, item: int, given: Given | None) -> Run:
    whole = run.open.get(task_id_of(run.run_id, stage, number, -1))
    if whole is None or whole.parts is None:
        return run
    parts = whole.parts._replace(open=whole.parts.open - 1)
    if given is not None:
        parts = parts._replace(completed=parts.completed + 1)
        if parts.items is not None and parts.items.collect and parts.stop is None:
            parts = parts._replace(given=parts.given.set(item, given), bytes=parts.bytes + size_of(given))
    return changed(run, whole._replace(parts=parts))


def size_of(given: Given) -> int:
    """Bytes of what an item gave, as far as it is collected."""
    if not given.outputs:
        return len(given.result)
    return sum(artifact.size for artifact in given.outputs)


def _released(run: Run, gone: Execution) -> Run:
    inner = run.inner
    mutexes = inner.mutexes
    for name in gone.mutexes:
        rest = without(mutexes.get(name, ()), gone.task_id)
        mutexes = mutexes.set(name, rest) if rest else mutexes.delete(name)
    inner = inner._replace(mutexes=mutexes, ready=without(inner.ready, gone.task_id))
    if gone.parts is not None and gone.parts.items is not None:
        inner = inner._replace(lists=without(inner.lists, gone.parts.items.over.digest))
    key = key_of(gone.stage, gone.item)
    if gone.parts is not None and key in inner.flows:
        past = _past_of(inner.flows[key].game)
        inner = inner._replace(flows=inner.flows.delete(key), past=inner.past.set(key, past))
    return run._replace(inner=inner)


def _past_of(game: Game) -> Map[str, StageState]:
    """What the next run of the same subflow must know: how far the executions of its stages have been counted."""
    return Map({name: StageState(executions=state.executions) for name, state in game.stages.items()})


# Mutexes, maps and subflows.


def holding(run: Run, execution: Execution, names: Iterable[str]) -> tuple[Run, Execution]:
    """An execution that holds these mutexes too, or waits for them behind others."""
    queues, held = run.inner.mutexes, execution.mutexes
    for name in names:
        if name not in held:
            queues = queues.set(name, (*queues.get(name, ()), execution.task_id))
            held = (*held, name)
    return run._replace(inner=run.inner._replace(mutexes=queues)), execution._replace(mutexes=held)


def with_flow(run: Run, execution: Execution, inputs: tuple[Artifact, ...]) -> Run:
    """The run with the subflow that an execution is."""
    inner, key = run.inner, key_of(execution.stage, execution.item)
    game = Game(stages=inner.past.get(key, Map()))
    flow = Flow(path=execution.stage, item=execution.item, owner=execution.task_id, inputs=(), game=game)
    run = run._replace(inner=inner._replace(flows=inner.flows.set(key, flow)))
    run, named = with_versions(run, f"{execution.stage}/", inputs)
    flow = flow._replace(inputs=named, artifacts=Map({artifact.name: artifact for artifact in named}))
    run = run._replace(inner=run.inner._replace(flows=run.inner.flows.set(key, flow)))
    return changed(run, execution._replace(parts=Parts()))


def with_versions(run: Run, prefix: str, written: tuple[Artifact, ...]) -> tuple[Run, tuple[Artifact, ...]]:
    """The run that has counted these versions, and the artifacts as they are called inside."""
    versions = run.inner.versions
    for artifact in written:
        versions = versions.set(artifact.name, artifact.version)
    named = tuple([each.model_copy(update={"name": each.name.removeprefix(prefix)}) for each in written])
    return run._replace(inner=run.inner._replace(versions=versions)), named


def _with_outputs(run: Run, stage: str, item: int, written: tuple[Artifact, ...]) -> Run:
    """The run with new versions of its artifacts, or of those of the subflow that a stage is in."""
    if not written:
        return run
    if "/" not in stage:
        return run._replace(artifacts=run.artifacts.update({artifact.name: artifact for artifact in written}))
    key = run.flow_key(stage, item)
    run, named = with_versions(run, f"{stage.rpartition('/')[0]}/", written)
    flow = run.inner.flows[key]
    flow = flow._replace(artifacts=flow.artifacts.update({artifact.name: artifact for artifact in named}))
    return run._replace(inner=run.inner._replace(flows=run.inner.flows.set(key, flow)))
