"""The tables of the read model. Everything in them is derived from the log and may be dropped at any time.

Every column is written by records of one channel only, so that rows do not depend on how channels interleave. Times
are Unix milliseconds. A status is computed from what has happened, never stored beside it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

PROJECTION = 2
"""Version of what the projection makes of records; a database of another version is built anew."""

FIRST = "first"
"""Marks a column that keeps its first value; all others take the newest."""

metadata = MetaData()

_JSON = JSON().with_variant(JSONB(), "postgresql")


def _text(name: str) -> Column[Any]:
    return Column(name, Text)


def _id(name: str) -> Column[Any]:
    """A part of a primary key, never absent."""
    return Column(name, String, nullable=False)


def _number(name: str, **more: Any) -> Column[Any]:
    """As wide as the numbers of records."""
    return Column(name, BigInteger, **more)


def _time(name: str) -> Column[Any]:
    return Column(name, BigInteger)


def _first_time(name: str) -> Column[Any]:
    """A time that keeps its first value."""
    return Column(name, BigInteger, info={FIRST: True})


def _json(name: str) -> Column[Any]:
    return Column(name, _JSON)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean)


def _status(cases: str) -> Column[Any]:
    """A status that follows from the other columns of its row."""
    return Column("status", Text, Computed(f"CASE {cases} END", persisted=True))


source = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("namespace", Text, nullable=False),
    Column("partitions", Integer, nullable=False),
    Column("projection", Integer, nullable=False),
)
"""The log that the rows are of, and how they were made of it."""

positions = Table(
    "positions",
    metadata,
    _id("channel"),
    Column("number", Integer, nullable=False),
    Column("next", BigInteger, nullable=False),  # offset of the first record that is in no row yet
    Column("fences", _JSON, nullable=False),  # there
    Column("log_end", BigInteger, nullable=False),  # as last seen; less `next` it is the lag in records
    Column("time_ms", BigInteger, nullable=False),  # of the last record taken in
    PrimaryKeyConstraint("channel", "number"),
)
"""How far each partition was read; changed in the transaction that writes the rows."""

records = Table(
    "records",
    metadata,
    _id("channel"),
    Column("number", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("counts", Boolean, nullable=False),  # whether its fence admits it
    _text("type"),
    _text("kind"),  # ask, report, fact, claim or post
    _text("role"),
    _text("id"),
    _text("cause"),
    _text("trace"),
    _text("key"),
    Column("time_ms", BigInteger, nullable=False),
    _json("body"),
    _text("fault"),  # why it cannot be decoded
    PrimaryKeyConstraint("channel", "number", "offset"),
    Index("records_id", "id"),
    Index("records_cause", "cause"),
)

runs = Table(
    "runs",
    metadata,
    _id("run_id"),
    _text("workspace_id"),
    _text("workflow_id"),
    _text("definition"),
    _text("actor"),
    _json("tags"),
    _time("started_at"),
    _text("forked_from"),  # the run that it took over from
    _number("forked_at"),  # as of this offset
    _text("ending"),  # the status that it is to end with
    _text("outcome"),
    _text("reason"),
    _time("ended_at"),
    _status(
        "WHEN outcome IS NOT NULL THEN outcome WHEN ending IS NOT NULL THEN 'ending' "
        "WHEN started_at IS NOT NULL THEN 'running' ELSE 'requested'"
    ),
    PrimaryKeyConstraint("run_id"),
    Index("runs_workspace_id", "workspace_id"),
)

stages = Table(
    "stages",
    metadata,
    _id("run_id"),
    _id("stage"),
    _number("execution", nullable=False),
    _number("item", nullable=False),  # -1 but for the items of a map
    _text("task_id"),
    _text("profession"),
    _text("waits_for"),
    _first_time("begun_at"),  # decided on by its run
    _time("worked_at"),  # begun by its worker
    _time("ended_at"),
    _text("outcome"),
    _text("code"),
    _text("reason"),
    _number("attempts"),
    _text("instance_id"),
    _text("result"),  # JSON as its worker wrote it
    _status("WHEN outcome IS NOT NULL THEN outcome ELSE 'open'"),
    PrimaryKeyConstraint("run_id", "stage", "execution", "item"),
)
"""Executions of stages."""

attempts = Table(
    "attempts",
    metadata,
    _id("attempt_id"),
    _text("task_id"),
    _text("run_id"),
    _text("stage"),
    _number("execution"),
    _number("item"),
    _number("attempt"),
    _text("profession"),
    _first_time("requested_at"),
    _first_time("queued_at"),
    _text("queued_because"),
    _time("assigned_at"),
    _text("instance_id"),
    _text("node_id"),
    _json("reasons"),
    _time("deadline_at"),
    _time("cancelled_at"),
    _time("ended_at"),
    _text("outcome"),  # completed or failed
    _text("code"),
    _text("reason"),
    _json("usage"),
    _status(
        "WHEN outcome IS NOT NULL THEN outcome WHEN cancelled_at IS NOT NULL THEN 'cancelled' "
        "WHEN assigned_at IS NOT NULL THEN 'assigned' WHEN queued_at IS NOT NULL THEN 'queued' ELSE 'requested'"
    ),
    PrimaryKeyConstraint("attempt_id"),
    Index("attempts_task_id", "task_id"),
    Index("attempts_run_id", "run_id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _id("owner"),  # run:ID or workspace:NAME
    _id("name"),
    _number("version", nullable=False),
    _text("digest"),
    _number("size"),
    _text("media_type"),
    _number("base_version"),
    _text("stage"),  # of a run that wrote it; empty for an input
    _number("execution"),
    _number("item"),
    _text("writer"),
    _json("reads"),
    _time("written_at"),
    PrimaryKeyConstraint("owner", "name", "version"),
    Index("artifacts_digest", "digest"),
)

reviews = Table(
    "reviews",
    metadata,
    _id("review_id"),
    _text("workspace_id"),
    _text("run_id"),
    _text("stage"),
    _number("execution"),
    _json("by"),
    _number("quorum"),
    _json("subject"),
    _time("opened_at"),
    _time("closes_at"),
    _time("escalated_at"),
    _time("closed_at"),
    _flag("approved"),
    _text("reason"),
    _status("WHEN closed_at IS NULL THEN 'open' WHEN approved THEN 'approved' ELSE 'rejected'"),
    PrimaryKeyConstraint("review_id"),
)

votes = Table(
    "votes",
    metadata,
    _id("fact_id"),
    _text("review_id"),
    _text("reviewer"),
    _flag("approve"),
    _text("comment"),
    _text("entitlement"),
    _time("voted_at"),
    PrimaryKeyConstraint("fact_id"),
    Index("votes_review_id", "review_id"),
)

instances = Table(
    "instances",
    metadata,
    _id("instance_id"),
    _text("workspace_id"),
    _text("name"),
    _text("profession"),
    _text("agent"),
    _text("driver"),
    _text("pool"),
    _flag("on_demand"),
    _text("node_id"),
    _text("node_session"),
    _number("incarnation"),
    _number("ready_incarnation"),
    _time("accepted_at"),
    _time("ready_at"),
    _time("draining_at"),
    _time("stopping_at"),
    _time("ended_at"),
    _text("outcome"),  # stopped, failed or lost
    _text("step"),
    _text("reason"),
    _status(
        "WHEN outcome IS NOT NULL THEN outcome WHEN stopping_at IS NOT NULL THEN 'stopping' "
        "WHEN draining_at IS NOT NULL THEN 'draining' WHEN ready_incarnation = incarnation THEN 'ready' "
        "WHEN incarnation IS NOT NULL THEN 'starting' ELSE 'creating'"
    ),
    PrimaryKeyConstraint("instance_id"),
    Index("instances_workspace_id", "workspace_id"),
)

nodes = Table(
    "nodes",
    metadata,
    _id("pool"),
    _id("node_id"),
    _text("node_session"),
    _json("capacity"),
    _json("drivers"),
    _time("accepted_at"),
    _flag("cordoned"),
    _text("lost_session"),
    _time("lost_at"),
    _text("reason"),
    _status("WHEN lost_session = node_session THEN 'lost' WHEN cordoned THEN 'cordoned' ELSE 'ready'"),
    PrimaryKeyConstraint("pool", "node_id"),
)

grants = Table(
    "grants",
    metadata,
    _id("grant_id"),
    _text("pool"),
    _text("workspace_id"),
    _text("instance_id"),
    _text("node_id"),
    _text("node_session"),
    _json("resources"),
    _time("queued_at"),
    _time("granted_at"),
    _time("refused_at"),
    _time("freed_at"),
    _text("reason"),
    _status(
        "WHEN freed_at IS NOT NULL THEN 'freed' WHEN refused_at IS NOT NULL THEN 'refused' "
        "WHEN granted_at IS NOT NULL THEN 'held' ELSE 'queued'"
    ),
    PrimaryKeyConstraint("grant_id"),
)

alarms = Table(
    "alarms",
    metadata,
    _id("alarm_id"),
    _text("rule"),
    _text("subject"),
    _text("owner_key"),
    _text("severity"),
    _text("evidence"),
    _time("raised_at"),
    _time("cleared_at"),
    _text("cleared_because"),
    _status("WHEN cleared_at IS NULL THEN 'raised' ELSE 'cleared'"),
    PrimaryKeyConstraint("alarm_id"),
)

professions = Table(
    "professions",
    metadata,
    _id("profession"),
    _number("version", nullable=False),
    _text("digest"),
    _time("added_at"),
    PrimaryKeyConstraint("profession", "version"),
)

PROJECTED: tuple[Table, ...] = (
    runs,
    stages,
    attempts,
    artifacts,
    reviews,
    votes,
    instances,
    nodes,
    grants,
    alarms,
    professions,
)
"""What rows are made of; `records` holds everything besides."""
