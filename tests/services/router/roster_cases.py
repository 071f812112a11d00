"""What the tests of the roster say again and again: works, instances, and the records about them."""

from typing import Any

from bus.testing import NOW_MS
from services.records.content import Resources, Work
from services.records.event import (
    InstanceAccepted,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRefused,
    InstanceStopping,
)
from services.records.task import (
    CancelRequested,
    InstanceNeeded,
    RosterChanged,
    TaskAssigned,
    TaskCompleted,
    TaskFailed,
    TaskLost,
    TaskQueued,
    TaskRequested,
)

TIMEOUT_MS = 600_000


def work(profession: str = "tester", **fields: Any) -> Work:
    return Work(run_id="run", stage="test", execution=1, profession=profession, **fields)


def requested(attempt: str, profession: str = "tester", **fields: Any) -> TaskRequested:
    return TaskRequested(
        workspace_id="w", task_id=f"task-{attempt}", attempt=1, attempt_id=attempt, work=work(profession, **fields)
    )


def queued(attempt: str, profession: str = "tester", **fields: Any) -> TaskQueued:
    return TaskQueued(
        workspace_id="w", task_id=f"task-{attempt}", attempt_id=attempt, work=work(profession, **fields), reason="busy"
    )


def assigned(attempt: str, instance: str = "a", incarnation: int = 1, **fields: Any) -> TaskAssigned:
    """As a fact of the past; what is compared with a decision is compared field by field."""
    return TaskAssigned(
        workspace_id="w",
        task_id=f"task-{attempt}",
        attempt_id=attempt,
        instance_id=instance,
        node_id="node",
        node_session="s1",
        incarnation=incarnation,
        deadline_ms=NOW_MS + TIMEOUT_MS,
        work=work(**fields),
    )


def changed(instance: str = "a", status: str = "ready", **fields: Any) -> RosterChanged:
    known: dict[str, Any] = {"profession": "tester", "agent": "script", "slots": 1}
    if status != "coming":
        known |= {"node_id": "node", "node_session": "s1", "incarnation": 1}
    return RosterChanged(workspace_id="w", instance_id=instance, status=status, **(known | fields))


def accepted(instance: str = "a", ask_id: str = "ask", **fields: Any) -> InstanceAccepted:
    known = {"profession": "tester", "name": instance, "agent": "script", "driver": "process", "pool": "default"}
    return InstanceAccepted(
        workspace_id="w", instance_id=instance, ask_id=ask_id, resources=Resources(), **(known | fields)
    )


def ready(instance: str = "a", **fields: Any) -> InstanceReady:
    known: dict[str, Any] = {"profession": "tester", "name": instance, "agent": "script", "slots": 1}
    known |= {"node_id": "node", "node_session": "s1", "incarnation": 1}
    return InstanceReady(workspace_id="w", instance_id=instance, **(known | fields))


def draining(instance: str = "a") -> InstanceDraining:
    return InstanceDraining(workspace_id="w", instance_id=instance, reason="wanted elsewhere")


def stopping(instance: str = "a") -> InstanceStopping:
    return InstanceStopping(
        workspace_id="w", instance_id=instance, node_id="node", node_session="s1", incarnation=1, reason="forced"
    )


def ended(instance: str = "a", status: str = "lost", **fields: Any) -> InstanceEnded:
    return InstanceEnded(workspace_id="w", instance_id=instance, status=status, **fields)


def refused(need_id: str, reason: str = "the quota is used up") -> InstanceRefused:
    return InstanceRefused(workspace_id="w", instance_id="", ask_id=need_id, reason=reason)


def needed(need_id: str = "need", profession: str = "tester", agent: str = "") -> InstanceNeeded:
    return InstanceNeeded(workspace_id="w", need_id=need_id, profession=profession, agent=agent, reason="tasks wait")


def _report(attempt: str, instance: str, fields: dict[str, Any]) -> dict[str, Any]:
    known = {"workspace_id": "w", "run_id": "run", "stage": "test", "task_id": f"task-{attempt}"}
    place = {"instance_id": instance, "node_id": "node", "node_session": "s1", "incarnation": 1}
    return {**known, **place, "attempt_id": attempt, **fields}


def completed(attempt: str, instance: str = "a", **fields: Any) -> TaskCompleted:
    return TaskCompleted(**_report(attempt, instance, fields))


def failed(attempt: str, instance: str = "a", code: str = "error", **fields: Any) -> TaskFailed:
    return TaskFailed(**_report(attempt, instance, fields), code=code, reason="it went wrong")


def cancelled(attempt: str) -> CancelRequested:
    return CancelRequested(
        workspace_id="w", run_id="run", task_id=f"task-{attempt}", attempt_id=attempt, reason="not wanted"
    )


def lost(attempt: str, code: str, reason: str, instance: str = "") -> TaskLost:
    return TaskLost(
        workspace_id="w",
        run_id="run",
        task_id=f"task-{attempt}",
        attempt_id=attempt,
        instance_id=instance,
        code=code,
        reason=reason,
    )
