"""Asking for a run: everything that it names by digest is kept first, then the ask is published."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from bus.channel import Position
from bus.client import Bus
from services.cli.contents import keep_content
from services.cli.run_input import Given
from services.cli.workflow_source import Prepared
from services.records.task import RunRequested, run_id_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A run that was asked for."""

    run_id: str
    workspace_id: str
    at: Position


async def ask_for_run(
    bus: Bus, prepared: Prepared, inputs: Mapping[str, Given], workspace_id: str, idempotency_key: str = ""
) -> Asked:
    """Publish the ask; the run's id is known from then on, whoever takes it up."""
    for blob in prepared.blobs.values():
        await bus.blobs.put(blob)
    contents = [
        await keep_content(bus.blobs, name, given.content, given.media_type) for name, given in sorted(inputs.items())
    ]
    ask_id = uuid.uuid4().hex
    request = RunRequested(
        workspace_id=workspace_id,
        workflow_id=prepared.workflow.id,
        definition=prepared.workflow.digest(),
        inputs=tuple(contents),
        professions=prepared.professions,
        tags=prepared.workflow.tags,
        idempotency_key=idempotency_key,
    )
    at = await bus.publish(request, record_id=ask_id)
    return Asked(run_id=run_id_of(ask_id), workspace_id=workspace_id, at=at)
