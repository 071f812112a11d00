"""Asks the roster for attempts, with everything that their workers need."""

from __future__ import annotations

from services.definitions.dataflow import read_names
from services.definitions.stage import Stage
from services.definitions.versions import digest_of
from services.orchestrator.flow import Flow
from services.orchestrator.lists import ListInvalid, list_of
from services.orchestrator.run import Run, attempt_id_of, task_id_of
from services.orchestrator.turn import Turn
from services.records.content import INLINE_BYTES_MAX, Artifact, Work
from services.records.task import TaskRequested


def request(turn: Turn, stage: Stage, number: int, item: int, *, attempt: int, mutexes: tuple[str, ...] = ()) -> None:
    """Ask for an attempt."""
    run, name = turn.run, stage.id
    task_id = task_id_of(run.run_id, name, number, item)
    work = Work(
        run_id=run.run_id,
        stage=name,
        execution=number,
        item=item,
        ordinal=turn.attempts(name) + 1,
        profession=stage.profession or "",
        agent=stage.agent or "",
        parameters=turn.definition.parameters[name],
        inputs=inputs_of(turn, stage, number, item),
        outputs=tuple([output.name for output in stage.output]),
        skills=stage.skills,
        queue_timeout_ms=stage.queue_timeout_ms or 0,
        priority=stage.priority,
        instructions=stage.words,
        feedback=before.sent_back if (before := turn.execution(name, number, item)) else "",
        professions=turn.definition.professions[name],
        **({"timeout_ms": stage.timeout_ms} if stage.timeout_ms else {}),
    )
    turn.add(
        TaskRequested(
            workspace_id=run.workspace_id,
            task_id=task_id,
            attempt=attempt,
            attempt_id=attempt_id_of(task_id, attempt),
            work=work,
            mutexes=mutexes,
        )
    )


def inputs_of(turn: Turn, stage: Stage, number: int, item: int) -> tuple[Artifact, ...]:
    """The newest versions of what a stage reads, and its item of a map; what is optional may be absent."""
    found = artifacts_of(turn.flow(stage.id, item), stage)
    if item < 0 or stage.map is None:
        return found
    own = item_of(turn, stage, number, item)
    return (*[artifact for artifact in found if artifact.name != own.name], own)


def artifacts_of(flow: Run | Flow, stage: Stage) -> tuple[Artifact, ...]:
    """The newest versions of what a stage lists as its input."""
    found = [flow.artifacts.get(part.name) for part in stage.input]
    return tuple([artifact for artifact in found if artifact is not None])


def missing_inputs(flow: Run | Flow, stage: Stage) -> list[str]:
    """What a stage must have and there is none of."""
    if stage.map is None and stage.subflow is None:
        return [part.name for part in stage.input if not part.optional and part.name not in flow.artifacts]
    names = read_names(stage)
    return [name for name, optional in names.items() if not optional and name not in flow.artifacts]


def item_of(turn: Turn, stage: Stage, number: int, item: int) -> Artifact:
    """One item of the list that a map goes through; the list has been read before."""
    whole = turn.execution(stage.id, number, -1)
    assert stage.map is not None
    assert whole is not None, f"the map {stage.id} is not under way"
    assert whole.parts is not None
    assert whole.parts.items is not None
    over = whole.parts.items.over
    data = content_of(turn, over)
    if data is None:
        raise ListInvalid("is no longer in the blob store")
    content, media_type = list_of(over.digest, data)[item]
    inline = content if len(content) <= INLINE_BYTES_MAX else None
    digest = digest_of(content) if inline is not None else turn.draft.keep(content)
    return Artifact(
        name=stage.map.item, version=1, digest=digest, size=len(content), media_type=media_type, inline=inline
    )


def has_content(turn: Turn, artifact: Artifact) -> bool:
    """Whether this decision knows what the artifact holds, or that the store lacks it."""
    return artifact.inline is not None or artifact.digest in turn.draft.blobs


def content_of(turn: Turn, artifact: Artifact) -> bytes | None:
    """What an artifact holds; None if the store lacks it."""
    return artifact.inline if artifact.inline is not None else turn.draft.blobs[artifact.digest]
