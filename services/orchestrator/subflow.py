"""Subflows: one execution of a stage is a whole workflow, run inside its run.

Its stages take part in a token game of their own, on the state of the same run. To flatten them into the graph outside
would be simpler as long as nothing is begun twice, but a stage in a loop begins its subflow anew, with its limits
counted anew and its artifacts apart, and a map begins one for each item of a list that nobody knows when the graph is
made. To make it a run of its own would spread one run over several ids: whoever cancels, pauses, forks or follows it
would have to gather them again. As it is, the facts name the run and the path of the stage (`outer/inner`), and one
execution of such a stage runs at a time, so that a path, an execution and an item name one thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from services.definitions.stage import Stage
from services.orchestrator.asking import item_of
from services.orchestrator.definition import Level
from services.orchestrator.ending import complete, fail
from services.orchestrator.flow import Flow, key_of
from services.orchestrator.game import Game
from services.orchestrator.inputs import Refusal, default_of
from services.orchestrator.run import Execution, task_id_of
from services.orchestrator.tokens import Play
from services.orchestrator.turn import Turn
from services.orchestrator.waiting import detail_of, wait
from services.records.content import Artifact, Content
from services.records.task import StageStarted


def begin_flow(turn: Turn, stage: Stage, number: int, item: int, mutexes: tuple[str, ...]) -> None:
    """Begin the workflow of a stage with what it is handed in."""
    run, level = turn.run, turn.definition.levels[stage.id]
    try:
        inputs = tuple(_inputs(turn, stage, number, item, level))
    except Refusal as refusal:
        reason = str(refusal)
        wait(turn, stage, number, item, mutexes=mutexes)
        turn.later(lambda: _fail(turn, stage, number, item, reason))
        return
    play = Play(level.graph, Game(stages=run.inner.past.get(key_of(stage.id, item), Game().stages)))
    play.start()
    times = [time for time in (stage.timeout_ms, level.workflow.timeout_ms) if time]
    turn.conclude(
        play,
        level,
        item,
        lambda moves: StageStarted(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=stage.id,
            execution=number,
            item=item,
            task_id=task_id_of(run.run_id, stage.id, number, item),
            waits_for="subflow",
            until_ms=turn.now_ms + min(times) if times else 0,
            detail=detail_of(stage),
            mutexes=mutexes,
            inputs=inputs,
            moves=moves,
        ),
        inputs=inputs,
    )


def _inputs(turn: Turn, stage: Stage, number: int, item: int, level: Level) -> Iterator[Artifact]:
    """What stands outside under the names that it is handed in, else the defaults; raises Refusal."""
    outside = dict(turn.flow(stage.id, item).artifacts)
    if stage.map is not None:
        own = item_of(turn, stage, number, item)
        outside[own.name] = own
    for name, declared in level.inputs.items():
        source = outside.get(level.handed_in.get(name, ""))
        content = content_as(name, source) if source else default_of(name, declared)
        if content is not None:
            full = level.prefix + name
            version = turn.run.inner.versions.get(full, 0) + 1
            yield Artifact(**content.model_dump() | {"name": full, "version": version})


def content_as(name: str, artifact: Artifact) -> Content:
    """An artifact on its way to another place, under another name."""
    return Content(
        name=name,
        digest=artifact.digest,
        size=artifact.size,
        media_type=artifact.media_type,
        inline=artifact.inline,
    )


def _fail(turn: Turn, stage: Stage, number: int, item: int, reason: str) -> None:
    execution = turn.execution(stage.id, number, item)
    if execution is not None and not turn.run.is_stopping(execution):
        fail(turn, execution, "input_missing", reason)


def end_flow(turn: Turn, execution: Execution) -> bool:
    """Nothing is under way in a subflow: it hands out what it made, and its stage completes."""
    flow = turn.run.inner.flows[key_of(execution.stage, execution.item)]
    complete(turn, execution, json.dumps({"status": "completed"}), tuple(_handed_out(turn, execution, flow)))
    return True


def _handed_out(turn: Turn, execution: Execution, flow: Flow) -> Iterator[Content]:
    for name, inside in turn.definition.levels[execution.stage].handed_out.items():
        artifact = flow.artifacts.get(inside)
        if artifact is not None:
            yield content_as(name, artifact)
