"""The map: every role there is, and the edges that read and report. Nothing else lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bus.decider import Role
from bus.record import Ask, Record
from services.access.keys import ACCESS
from services.allocator.budgets import BUDGETS
from services.allocator.pool import POOL
from services.factory.instances import INSTANCES
from services.factory.professions import PROFESSIONS
from services.health.watch import WATCH
from services.orchestrator.artifacts import ARTIFACTS
from services.orchestrator.reviews import REVIEWS
from services.orchestrator.runs import RUNS
from services.orchestrator.schedules import SCHEDULES
from services.records import data, event, review, task, telemetry
from services.records.message import REQUESTS
from services.router.conversations import CONVERSATIONS
from services.router.roster import ROSTER

ROLES: tuple[Role[Any], ...] = (
    *(RUNS, SCHEDULES, ARTIFACTS, REVIEWS, ROSTER, CONVERSATIONS),
    *(POOL, BUDGETS, INSTANCES, PROFESSIONS, WATCH, ACCESS),
)

HOMES: Mapping[str, str] = {role.name: role.home for role in ROLES}
"""The one channel that each role writes."""

SERVICES = ("factory", "allocator", "router", "orchestrator", "health")
"""What hosts roles; each may run as processes of its own."""

EMBEDDED = (*SERVICES, "gateway")
"""What a process hosts that is a whole system of its own."""

EDGES = ("gateway", "audit", "node")
"""What reads the log and publishes asks and reports; the gateway hosts the role that lets people in, too."""


def roles_of(service: str) -> tuple[Role[Any], ...]:
    """The roles that a service hosts."""
    return tuple(role for role in ROLES if role.service == service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Effects code: what it follows and what it reports."""

    name: str
    follows: frozenset[type[Record]]
    reports: frozenset[type[Record]]


NODE = Edge(
    name="node",
    follows=frozenset(
        {
            event.NodeAccepted,
            event.NodeRefused,
            event.NodeLost,
            event.CapacityGranted,
            event.InstanceStarting,
            event.InstanceStopping,
            event.InstanceEnded,
            event.TrancheGranted,
            event.TrancheRefused,
            task.TaskAssigned,
            task.AttemptCancelled,
            task.MessageSent,
            task.TaskCompleted,
            task.TaskFailed,
            task.TaskLost,
            task.TasksSettled,
        }
    ),
    reports=frozenset(
        {
            event.NodeJoined,
            event.NodeLeft,
            event.WorkerStarted,
            event.WorkerGone,
            event.UsageReported,
            task.TaskCompleted,
            task.TaskFailed,
            task.MessageReceived,
            *REQUESTS.values(),
            telemetry.NodeHeartbeat,
            telemetry.WorkerOutput,
        }
    ),
)

MONITOR = Edge(
    name="monitor",
    follows=frozenset(
        {
            telemetry.NodeHeartbeat,
            event.SubjectWatched,
            event.SubjectUnwatched,
            event.SubjectLate,
            event.SubjectRecovered,
            event.SubjectLost,
        }
    ),
    reports=frozenset({event.LeaseMissed, event.LeaseResumed}),
)

WEBHOOKS = Edge(
    name="webhooks", follows=frozenset({event.AlarmRaised, event.AlarmCleared}), reports=frozenset[type[Record]]()
)

ASKS: frozenset[type[Record]] = frozenset(
    kind for kind in (*task.RECORDS, *event.RECORDS, *data.RECORDS, *review.RECORDS) if issubclass(kind, Ask)
)
