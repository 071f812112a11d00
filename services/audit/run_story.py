"""What a run has been through by some point of its log, and how two runs of a workflow differ."""

from __future__ import annotations

from collections.abc import Mapping

from bus.channel import Partition
from bus.codec import Codec
from bus.log import Log
from bus.reader import START, FencedReader
from services.audit.progress import WATCHED, Execution, Progress, hex_of


async def read_story(log: Log, codec: Codec, run_id: str, home: Partition, end: int) -> Progress:
    """The progress of a run as the records before an offset of its partition show it."""
    progress = Progress(run_id)
    reader = await FencedReader.open(log, codec, {home: START}, WATCHED)
    try:
        while reader.places()[home].offset < end:
            for envelope in await reader.read():
                if envelope.at is not None and envelope.at.offset < end:
                    progress.apply(envelope)
    finally:
        await reader.close()
    return progress


def describe_story(progress: Progress) -> dict[str, object]:
    """The run with all that has begun in it."""
    return {
        "status": progress.status,
        "workflow_id": progress.workflow_id,
        "workspace_id": progress.workspace_id,
        "started_at": progress.started_at_ms or None,
        "ended_at": progress.ended_at_ms or None,
        "reason": progress.reason or None,
        **describe_course(progress),
        "instances": {_name(each): each.instance_id for each in progress.executions.values() if each.instance_id},
    }


def describe_course(progress: Progress) -> dict[str, object]:
    """What two runs of the same workflow have in common unless they went another way: no ids, no times."""
    return {
        "status": progress.status,
        "workflow_id": progress.workflow_id,
        "executions": {_name(each): _course(each) for each in progress.executions.values()},
        "artifacts": {
            name: {"version": each.version, "sha256": hex_of(each.digest)}
            for name, each in sorted(progress.artifacts.items())
        },
    }


def _name(execution: Execution) -> str:
    stage, number, item = execution.key
    return f"{stage}#{number}" + (f"[{item}]" if item >= 0 else "")


def _course(execution: Execution) -> Mapping[str, object]:
    return {"status": execution.status, "attempts": execution.attempts, "reason": execution.reason or None}
