"""What a fact changes in the tables: for each row that it concerns, the columns that it sets.

A function of the fact and its time alone. A column that is not set keeps what it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Table

from bus.record import Envelope, Record
from services.audit import tables
from services.audit.projection_event import EVENT
from services.records.content import Artifact
from services.records.data import ArtifactRecorded
from services.records.fork import StateReused
from services.records.review import ReviewClosed, ReviewEscalated, ReviewOpened, VoteRecorded
from services.records.roster import AttemptCancelled, TaskAssigned, TaskLost, TaskQueued
from services.records.run import (
    AttemptFailed,
    RunEnded,
    RunEnding,
    RunRefused,
    RunStarted,
    StageCompleted,
    StageEnded,
    StageStarted,
    TaskRequested,
)


class Change(NamedTuple):
    """Columns of one row, its primary key among them."""

    table: Table
    columns: dict[str, Any]


def project(envelope: Envelope) -> Iterator[Change]:
    """What a record that counts changes; nothing but facts does."""
    write = PROJECTIONS.get(type(envelope.record))
    if write is not None and envelope.origin.kind == "fact":
        for table, columns in write(envelope.record, envelope):
            yield Change(table, columns)


Rows = Iterator[tuple[Table, dict[str, Any]]]


# Runs.


def _run_started(fact: RunStarted, envelope: Envelope) -> Rows:
    yield (
        tables.runs,
        {
            "run_id": fact.run_id,
            "workspace_id": fact.workspace_id,
            "workflow_id": fact.workflow_id,
            "definition": fact.definition,
            "actor": fact.actor,
            "tags": dict(fact.tags),
            "started_at": envelope.time_ms,
            **({"forked_from": fact.fork.run_id, "forked_at": fact.fork.offset} if fact.fork else {}),
        },
    )
    for artifact in fact.inputs:
        yield _artifact(f"run:{fact.run_id}", artifact, envelope.time_ms, stage="")


def _state_reused(fact: StateReused, envelope: Envelope) -> Rows:
    for each in fact.artifacts:
        full = f"{each.path}/{each.artifact.name}" if each.path else each.artifact.name
        artifact = each.artifact.model_copy(update={"name": full})
        yield _artifact(f"run:{fact.run_id}", artifact, envelope.time_ms, stage="")


def _run_refused(fact: RunRefused, envelope: Envelope) -> Rows:
    ended = {"outcome": "refused", "reason": fact.reason, "ended_at": envelope.time_ms}
    yield tables.runs, {"run_id": fact.run_id, "workspace_id": fact.workspace_id, **ended}


def _run_ending(fact: RunEnding, envelope: Envelope) -> Rows:
    yield tables.runs, {"run_id": fact.run_id, "ending": fact.status, "reason": fact.reason}


def _run_ended(fact: RunEnded, envelope: Envelope) -> Rows:
    ended = {"outcome": fact.status, "reason": fact.reason, "ended_at": envelope.time_ms}
    yield tables.runs, {"run_id": fact.run_id, **ended}


def _stage_key(place: Any) -> dict[str, Any]:
    """The primary key of an execution, from whatever names it."""
    return {"run_id": place.run_id, "stage": place.stage, "execution": place.execution, "item": place.item}


def _stage_started(fact: StageStarted, envelope: Envelope) -> Rows:
    begun = {"task_id": fact.task_id, "waits_for": fact.waits_for, "begun_at": envelope.time_ms}
    yield tables.stages, {**_stage_key(fact), **begun}


def _task_requested(fact: TaskRequested, envelope: Envelope) -> Rows:
    work, now_ms = fact.work, envelope.time_ms
    asked = {"task_id": fact.task_id, "profession": work.profession}
    yield tables.stages, {**_stage_key(work), **asked, "begun_at": now_ms, "attempts": fact.attempt}
    yield (
        tables.attempts,
        {"attempt_id": fact.attempt_id, **_stage_key(work), **asked, "attempt": fact.attempt, "requested_at": now_ms},
    )


def _attempt_failed(fact: AttemptFailed, envelope: Envelope) -> Rows:
    ended = {"outcome": "failed", "code": fact.code, "reason": fact.reason, "ended_at": envelope.time_ms}
    yield tables.attempts, {"attempt_id": fact.attempt_id, **ended}


def _stage_completed(fact: StageCompleted, envelope: Envelope) -> Rows:
    now_ms = envelope.time_ms
    yield tables.stages, {**_ended(fact, now_ms), "outcome": "completed", "result": fact.result}
    if fact.attempt_id:
        usage = fact.usage.model_dump() if fact.usage else None
        ended = {"outcome": "completed", "ended_at": now_ms, "usage": usage}
        yield tables.attempts, {"attempt_id": fact.attempt_id, **ended}
    reads = [read.model_dump() for read in fact.reads]
    for artifact in fact.outputs:
        yield _artifact(f"run:{fact.run_id}", artifact, now_ms, **_place(fact), reads=reads)


def _stage_ended(fact: StageEnded, envelope: Envelope) -> Rows:
    now_ms = envelope.time_ms
    ended = {"outcome": fact.status, "code": fact.code, "reason": fact.reason}
    yield tables.stages, {**_ended(fact, now_ms), **ended}
    for artifact in fact.outputs:
        yield _artifact(f"run:{fact.run_id}", artifact, now_ms, **_place(fact))


def _ended(fact: StageCompleted | StageEnded, now_ms: int) -> dict[str, Any]:
    return {
        **_stage_key(fact),
        "task_id": fact.task_id or None,
        "attempts": fact.attempts,
        "instance_id": fact.instance_id or None,
        "begun_at": now_ms,
        "worked_at": fact.started_at_ms or None,
        "ended_at": now_ms,
    }


def _place(fact: StageCompleted | StageEnded) -> dict[str, Any]:
    return {"stage": fact.stage, "execution": fact.execution, "item": fact.item}


def _artifact(owner: str, artifact: Artifact, now_ms: int, **more: Any) -> tuple[Table, dict[str, Any]]:
    return (
        tables.artifacts,
        {
            "owner": owner,
            "name": artifact.name,
            "version": artifact.version,
            "digest": artifact.digest,
            "size": artifact.size,
            "media_type": artifact.media_type,
            "base_version": artifact.base_version,
            "written_at": now_ms,
            **more,
        },
    )


# The roster.


def _task_queued(fact: TaskQueued, envelope: Envelope) -> Rows:
    queued = {"queued_at": envelope.time_ms, "queued_because": fact.reason}
    yield tables.attempts, {"attempt_id": fact.attempt_id, "task_id": fact.task_id, **queued}


def _task_assigned(fact: TaskAssigned, envelope: Envelope) -> Rows:
    yield (
        tables.attempts,
        {
            "attempt_id": fact.attempt_id,
            "task_id": fact.task_id,
            "assigned_at": envelope.time_ms,
            "instance_id": fact.instance_id,
            "node_id": fact.node_id,
            "deadline_at": fact.deadline_ms,
            "reasons": [reason.model_dump() for reason in fact.reasons],
        },
    )


def _attempt_cancelled(fact: AttemptCancelled, envelope: Envelope) -> Rows:
    yield tables.attempts, {"attempt_id": fact.attempt_id, "cancelled_at": envelope.time_ms, "reason": fact.reason}


def _task_lost(fact: TaskLost, envelope: Envelope) -> Rows:
    ended = {"outcome": "lost", "code": fact.code, "reason": fact.reason, "ended_at": envelope.time_ms}
    yield tables.attempts, {"attempt_id": fact.attempt_id, **ended}


# Reviews and shared artifacts.


def _review_opened(fact: ReviewOpened, envelope: Envelope) -> Rows:
    yield (
        tables.reviews,
        {
            "review_id": fact.review_id,
            "workspace_id": fact.workspace_id,
            "run_id": fact.run_id,
            "stage": fact.stage,
            "execution": fact.execution,
            "by": list(fact.by),
            "quorum": fact.quorum,
            "subject": [read.model_dump() for read in fact.subject],
            "opened_at": envelope.time_ms,
            "closes_at": fact.closes_at_ms or None,
        },
    )


def _review_escalated(fact: ReviewEscalated, envelope: Envelope) -> Rows:
    asked = {"by": list(fact.by), "quorum": 1, "closes_at": fact.closes_at_ms or None}
    yield tables.reviews, {"review_id": fact.review_id, **asked, "escalated_at": envelope.time_ms}


def _review_closed(fact: ReviewClosed, envelope: Envelope) -> Rows:
    closed = {"approved": fact.approved, "reason": fact.reason, "closed_at": envelope.time_ms}
    yield tables.reviews, {"review_id": fact.review_id, **closed}


def _vote_recorded(fact: VoteRecorded, envelope: Envelope) -> Rows:
    vote = fact.vote.model_dump(include={"reviewer", "approve", "comment", "entitlement"})
    yield tables.votes, {"fact_id": envelope.id, "review_id": fact.review_id, **vote, "voted_at": envelope.time_ms}


def _artifact_recorded(fact: ArtifactRecorded, envelope: Envelope) -> Rows:
    yield _artifact(f"workspace:{fact.workspace_id}", fact.artifact, envelope.time_ms, writer=fact.writer)


PROJECTIONS: Mapping[type[Record], Callable[[Any, Envelope], Rows]] = {
    RunStarted: _run_started,
    StateReused: _state_reused,
    RunRefused: _run_refused,
    RunEnding: _run_ending,
    RunEnded: _run_ended,
    StageStarted: _stage_started,
    TaskRequested: _task_requested,
    AttemptFailed: _attempt_failed,
    StageCompleted: _stage_completed,
    StageEnded: _stage_ended,
    TaskQueued: _task_queued,
    TaskAssigned: _task_assigned,
    AttemptCancelled: _attempt_cancelled,
    TaskLost: _task_lost,
    ReviewOpened: _review_opened,
    ReviewEscalated: _review_escalated,
    ReviewClosed: _review_closed,
    VoteRecorded: _vote_recorded,
    ArtifactRecorded: _artifact_recorded,
    **EVENT,
}
