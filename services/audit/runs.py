"""The runs of a system as its records show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bus.record import Envelope, Record
from services.records.task import RunEnded, RunRefused, RunStarted

LISTED: tuple[type[Record], ...] = (RunStarted, RunRefused, RunEnded)
"""What the list of runs is folded from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run in a line."""

    run_id: str
    workflow_id: str
    workspace_id: str
    status: str  # running, completed, failed, cancelled or refused
    started_at_ms: int
    ended_at_ms: int = 0
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def is_tagged(self, wanted: Mapping[str, str | None]) -> bool:
        """Whether it has all these tags, with these values where one is given."""
        return all(name in self.tags and value in (None, self.tags[name]) for name, value in wanted.items())


def fold_runs(envelopes: Iterable[Envelope]) -> dict[str, Run]:
    """Every run by its id, in the order in which they were taken up."""
    found: dict[str, Run] = {}
    for envelope in envelopes:
        record, time_ms = envelope.record, envelope.time_ms
        match record:
            case RunStarted():
                found[record.run_id] = _started(record, time_ms)
            case RunEnded() if known := found.get(record.run_id):
                ended = replace(known, status=record.status, ended_at_ms=time_ms, reason=record.reason)
                found[record.run_id] = ended
            case RunRefused():
                found[record.run_id] = Run(
                    run_id=record.run_id,
                    workflow_id="",
                    workspace_id=record.workspace_id,
                    status="refused",
                    started_at_ms=time_ms,
                    ended_at_ms=time_ms,
                    reason=record.reason,
                )
    return found


def _started(record: RunStarted, time_ms: int) -> Run:
    return Run(
        run_id=record.run_id,
        workflow_id=record.workflow_id,
        workspace_id=record.workspace_id,
        status="running",
        started_at_ms=time_ms,
        tags=record.tags,
    )


def describe(run: Run) -> dict[str, object]:
    """One line of `workflows list --json`."""
    return {
        "run_id": run.run_id,
        "workflow_id": run.workflow_id or None,
        "workspace_id": run.workspace_id,
        "status": run.status,
        "started_at": run.started_at_ms,
        "ended_at": run.ended_at_ms or None,
        "reason": run.reason or None,
        "tags": dict(sorted(run.tags.items())),
    }
