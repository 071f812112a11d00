"""What the parts of an old run's state change in the fork that takes them over."""

from __future__ import annotations

from services.orchestrator.agenda_facts import with_due
from services.orchestrator.executions import changed, holding, opened, size_of, with_game
from services.orchestrator.flow import Flow, Given, Parts, Stop, key_of
from services.orchestrator.game import Game, StageState, applied
from services.orchestrator.run import SPLIT, Execution, Run, task_id_of
from services.records import fork
from services.records.task import Items
from services.records.token import Moves


def reused(run: Run, fact: fork.StateReused, time_ms: int) -> Run:
    """The run with this part of what it takes over; with the last one it can go on."""
    for flow in fact.flows:
        run = _with_flow(run, flow)
    for stage in fact.stages:
        run = _with_stage(run, stage)
    for moves in fact.moves:
        within = f"{moves.path}/" if moves.path else ""
        run = with_game(run, within, moves.item, applied(run.flow(within, moves.item).game, moves.moves))
    for artifact in fact.artifacts:
        run = _with_artifact(run, artifact)
    for parts in fact.parts:
        run = _with_parts(run, parts, time_ms)
    for item in fact.items:
        run = _with_item(run, item)
    run = _with_counts(run, fact)
    run = with_due(run, Moves(due=fact.due), time_ms)
    origin = run.fork
    assert origin is not None, f"{run.run_id} takes nothing over"
    return run._replace(fork=None if fact.is_last else origin._replace(part=fact.part + 1))


def _with_flow(run: Run, flow: fork.ReusedFlow) -> Run:
    owner = run.open[task_id_of(run.run_id, flow.path, flow.execution, flow.item)]
    new = Flow(path=flow.path, item=flow.item, owner=owner.task_id, inputs=flow.inputs, game=Game())
    flows = run.inner.flows.set(key_of(flow.path, flow.item), new)
    return changed(run._replace(inner=run.inner._replace(flows=flows)), owner)


def _with_stage(run: Run, stage: fork.ReusedStage) -> Run:
    game = run.flow(stage.stage, stage.item).game
    state = StageState(stage.executions, (), stage.attempts, stage.completed, stage.began_ms)
    return with_game(run, stage.stage, stage.item, game._replace(stages=game.stages.set(stage.stage, state)))


def _with_artifact(run: Run, each: fork.ReusedArtifact) -> Run:
    name = each.artifact.name
    if not each.path:
        return run._replace(artifacts=run.artifacts.set(name, each.artifact))
    key = key_of(each.path, each.item)
    flow = run.inner.flows[key]
    flow = flow._replace(artifacts=flow.artifacts.set(name, each.artifact))
    return run._replace(inner=run.inner._replace(flows=run.inner.flows.set(key, flow)))


def _with_parts(run: Run, each: fork.ReusedParts, time_ms: int) -> Run:
    execution = Execution(
        stage=each.stage,
        number=each.execution,
        task_id=task_id_of(run.run_id, each.stage, each.execution, each.item),
        order=run.order + 1,
        status=SPLIT,
        waits_for="items" if each.over else "subflow",
        began_ms=time_ms,
        item=each.item,
    )
    run = opened(run, execution)
    run, execution = holding(run, execution, each.mutexes)
    items = None
    if each.over is not None:
        items = Items(over=each.over, count=each.count, parallel_max=each.parallel_max, collect=each.collect)
        if each.over.inline is None:
            run = run._replace(inner=run.inner._replace(lists=(*run.inner.lists, each.over.digest)))
    stop = Stop(each.status, each.code, each.reason, told=False) if each.status else None
    execution = execution._replace(parts=Parts(items, each.begun, completed=each.completed, stop=stop))
    if items is None and stop is None:  # whether it can go on is seen once its flow is there
        return run._replace(open=run.open.set(execution.task_id, execution))
    return changed(run, execution)


def _with_item(run: Run, each: fork.ReusedItem) -> Run:
    whole = run.open[task_id_of(run.run_id, each.stage, each.execution)]
    assert whole.parts is not None, f"{each.stage} is no map"
    given = Given(each.result, each.outputs)
    parts = whole.parts._replace(
        given=whole.parts.given.set(each.item, given), bytes=whole.parts.bytes + size_of(given)
    )
    return run._replace(open=run.open.set(whole.task_id, whole._replace(parts=parts)))


def _with_counts(run: Run, fact: fork.StateReused) -> Run:
    if not fact.counts and not fact.past:
        return run
    attempts, versions, past = run.inner.attempts, run.inner.versions, run.inner.past
    for each in fact.counts:
        if each.kind == "attempts":
            attempts = attempts.set(each.name, each.count)
        else:
            versions = versions.set(each.name, each.count)
    for stage in fact.past:
        counted = past[stage.key] if stage.key in past else Game().stages
        past = past.set(stage.key, counted.set(stage.stage, StageState(executions=stage.executions)))
    return run._replace(inner=run.inner._replace(attempts=attempts, versions=versions, past=past))
