"""Asking for a run: everything that it names by digest is kept first, then the ask is published."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from bus.channel import Position
from bus.client import Bus
from services.cli.answer import ask
from services.cli.contents import keep_content
from services.cli.failure import Wrong
from services.cli.run_input import Given
from services.definitions.resolution import Prepared
from services.records.task import RunFound, RunRefused, RunRequested, RunStarted, run_id_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A run that was asked for."""

    run_id: str
    workspace_id: str
    at: Position
    is_known: bool = False  # an earlier ask under the same key led to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a run is asked for, beside its workflow and inputs."""

    workspace_id: str
    key: str = ""  # whoever asks again under it gets the same run
    tags: Mapping[str, str] = field(default_factory=dict)


async def ask_for_run(bus: Bus, prepared: Prepared, inputs: Mapping[str, Given], wish: Wish) -> Asked:
    """Publish the ask; the run's id is known from then on, or under a key once it is answered.

    Raises Wrong if it was refused under the key.
    """
    for blob in prepared.blobs.values():
        await bus.blobs.put(blob)
    contents = [
        await keep_content(bus.blobs, name, given.content, given.media_type) for name, given in sorted(inputs.items())
    ]
    request = RunRequested(
        workspace_id=wish.workspace_id,
        workflow_id=prepared.workflow.id,
        definition=prepared.workflow.digest(),
        inputs=tuple(contents),
        professions=dict(prepared.professions),
        tags=wish.tags,
        idempotency_key=wish.key,
    )
    return await _publish(bus, request)


async def _publish(bus: Bus, request: RunRequested) -> Asked:
    workspace_id = request.workspace_id
    if request.idempotency_key:
        answer = await ask(bus, request, [RunStarted, RunRefused, RunFound], key=workspace_id)
        record, at = answer.record, answer.at
        if isinstance(record, RunRefused):
            raise Wrong(f"the run was refused: {record.reason}")
        assert at is not None  # only a deadline has no place on the log
        return Asked(run_id=record.run_id, workspace_id=workspace_id, at=at, is_known=isinstance(record, RunFound))
    ask_id = uuid.uuid4().hex
    at = await bus.publish(request, record_id=ask_id)
    return Asked(run_id=run_id_of(ask_id), workspace_id=workspace_id, at=at)
