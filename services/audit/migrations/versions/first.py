"""The first tables of the read model."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    for create in CREATED.values():
        create()


def downgrade() -> None:
    for name in CREATED:
        op.drop_table(name)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text)


def _id(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String, nullable=False)


def _number(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, **more)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, _JSON)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean)


def _status(cases: str) -> sa.Column[Any]:
    return sa.Column("status", sa.Text, sa.Computed(f"CASE {cases} END", persisted=True))


def _source() -> None:
    op.create_table(
        "source",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.Column("projection", sa.Integer, nullable=False),
    )


def _positions() -> None:
    op.create_table(
        "positions",
        _id("channel"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.Column("fences", _JSON, nullable=False),
        sa.Column("log_end", sa.BigInteger, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("channel", "number"),
    )


def _records() -> None:
    op.create_table(
        "records",
        _id("channel"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Boolean, nullable=False),
        _text("type"),
        _text("kind"),
        _text("role"),
        _text("id"),
        _text("cause"),
        _text("trace"),
        _text("key"),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        _json("body"),
        _text("fault"),
        sa.PrimaryKeyConstraint("channel", "number", "offset"),
    )
    op.create_index("records_id", "records", ["id"])
    op.create_index("records_cause", "records", ["cause"])


def _runs() -> None:
    op.create_table(
        "runs",
        _id("run_id"),
        _text("workspace_id"),
        _text("workflow_id"),
        _text("definition"),
        _text("actor"),
        _json("tags"),
        _time("started_at"),
        _text("ending"),
        _text("outcome"),
        _text("reason"),
        _time("ended_at"),
        _status(
            "WHEN outcome IS NOT NULL THEN outcome WHEN ending IS NOT NULL THEN 'ending' "
            "WHEN started_at IS NOT NULL THEN 'running' ELSE 'requested'"
        ),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("runs_workspace_id", "runs", ["workspace_id"])


def _stages() -> None:
    op.create_table(
        "stages",
        _id("run_id"),
        _id("stage"),
        _number("execution", nullable=False),
        _number("item", nullable=False),
        _text("task_id"),
        _text("profession"),
        _text("waits_for"),
        _time("begun_at"),
        _time("worked_at"),
        _time("ended_at"),
        _text("outcome"),
        _text("code"),
        _text("reason"),
        _number("attempts"),
        _text("instance_id"),
        _text("result"),
        _status("WHEN outcome IS NOT NULL THEN outcome ELSE 'open'"),
        sa.PrimaryKeyConstraint("run_id", "stage", "execution", "item"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        _id("attempt_id"),
        _text("task_id"),
        _text("run_id"),
        _text("stage"),
        _number("execution"),
        _number("item"),
        _number("attempt"),
        _text("profession"),
        _time("requested_at"),
        _time("queued_at"),
        _text("queued_because"),
        _time("assigned_at"),
        _text("instance_id"),
        _text("node_id"),
        _json("reasons"),
        _time("deadline_at"),
        _time("cancelled_at"),
        _time("ended_at"),
        _text("outcome"),
        _text("code"),
        _text("reason"),
        _json("usage"),
        _status(
            "WHEN outcome IS NOT NULL THEN outcome WHEN cancelled_at IS NOT NULL THEN 'cancelled' "
            "WHEN assigned_at IS NOT NULL THEN 'assigned' WHEN queued_at IS NOT NULL THEN 'queued' ELSE 'requested'"
        ),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    op.create_index("attempts_task_id", "attempts", ["task_id"])
    op.create_index("attempts_run_id", "attempts", ["run_id"])


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        _id("owner"),
        _id("name"),
        _number("version", nullable=False),
        _text("digest"),
        _number("size"),
        _text("media_type"),
        _number("base_version"),
        _text("stage"),
        _number("execution"),
        _number("item"),
        _text("writer"),
        _json("reads"),
        _time("written_at"),
        sa.PrimaryKeyConstraint("owner", "name", "version"),
    )
    op.create_index("artifacts_digest", "artifacts", ["digest"])


def _reviews() -> None:
    op.create_table(
        "reviews",
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
        sa.PrimaryKeyConstraint("review_id"),
    )


def _votes() -> None:
    op.create_table(
        "votes",
        _id("fact_id"),
        _text("review_id"),
        _text("reviewer"),
        _flag("approve"),
        _text("comment"),
        _text("entitlement"),
        _time("voted_at"),
        sa.PrimaryKeyConstraint("fact_id"),
    )
    op.create_index("votes_review_id", "votes", ["review_id"])


def _instances() -> None:
    op.create_table(
        "instances",
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
        _text("outcome"),
        _text("step"),
        _text("reason"),
        _status(
            "WHEN outcome IS NOT NULL THEN outcome WHEN stopping_at IS NOT NULL THEN 'stopping' "
            "WHEN draining_at IS NOT NULL THEN 'draining' WHEN ready_incarnation = incarnation THEN 'ready' "
            "WHEN incarnation IS NOT NULL THEN 'starting' ELSE 'creating'"
        ),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_index("instances_workspace_id", "instances", ["workspace_id"])


def _nodes() -> None:
    op.create_table(
        "nodes",
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
        sa.PrimaryKeyConstraint("pool", "node_id"),
    )


def _grants() -> None:
    op.create_table(
        "grants",
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
        sa.PrimaryKeyConstraint("grant_id"),
    )


def _alarms() -> None:
    op.create_table(
        "alarms",
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
        sa.PrimaryKeyConstraint("alarm_id"),
    )


def _professions() -> None:
    op.create_table(
        "professions",
        _id("profession"),
        _number("version", nullable=False),
        _text("digest"),
        _time("added_at"),
        sa.PrimaryKeyConstraint("profession", "version"),
    )


CREATED = {
    "source": _source,
    "positions": _positions,
    "records": _records,
    "runs": _runs,
    "stages": _stages,
    "attempts": _attempts,
    "artifacts": _artifacts,
    "reviews": _reviews,
    "votes": _votes,
    "instances": _instances,
    "nodes": _nodes,
    "grants": _grants,
    "alarms": _alarms,
    "professions": _professions,
}
