"""Says that an execution has begun whose work is not one attempt: it waits for something, or has parts."""

from __future__ import annotations

import json

from services.definitions.stage import Stage
from services.orchestrator.run import task_id_of
from services.orchestrator.turn import Turn
from services.records.task import Items, StageStarted

HUMAN = "human"


def wait(
    turn: Turn,
    stage: Stage,
    number: int,
    item: int,
    waits_for: str = "",
    *,
    until_ms: int = 0,
    mutexes: tuple[str, ...] = (),
    items: Items | None = None,
) -> None:
    """Say what it waits for, and until when at the latest."""
    run = turn.run
    turn.add(
        StageStarted(
            workspace_id=run.workspace_id,
            run_id=run.run_id,
            stage=stage.id,
            execution=number,
            item=item,
            task_id=task_id_of(run.run_id, stage.id, number, item),
            waits_for=waits_for,
            until_ms=until_ms,
            detail=detail_of(stage),
            mutexes=mutexes,
            items=items,
        )
    )


def detail_of(stage: Stage) -> str:
    """What the fact says of the stage, for whoever shows it."""
    detail = {"kind": stage.kind, "name": stage.name, "choice": stage.choice}
    if stage.agent == HUMAN:
        detail |= {"agent": HUMAN, "instructions": stage.instructions or stage.description}
    return json.dumps({key: value for key, value in detail.items() if value}, ensure_ascii=False)
