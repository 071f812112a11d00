"""What a new life of a node says for the one before it: reports not yet made, attempts lost, workers gone."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.clock import Clock
from bus.record import derive_id
from services.factory import end_report
from services.factory.agents.port import failed
from services.factory.attempt_directory import AttemptDirectory, remove_tree
from services.factory.journal import Journal
from services.factory.output_store import OutputStore
from services.factory.reports import Reports
from services.records.node import WorkerGone
from services.records.task import TaskAssigned

REASON = "its node ended without being able to say so"


async def report_past(
    journal: Journal, reports: Reports, store: OutputStore, clock: Clock, node_id: str, instances: Path
) -> None:
    """Report all that the journal shows open, in the order attempts, workers; returns when all of it is durable."""
    reports.repeat()
    past = _Past(journal=journal, reports=reports, store=store, clock=clock)
    for attempt_id, entry in list(journal.attempts.items()):
        await past.report_attempt(attempt_id, entry)
    await reports.drain()
    for instance_id, entry in list(journal.instances.items()):
        past.report_instance(instance_id, entry, node_id)
    await reports.drain()
    await asyncio.to_thread(remove_tree, instances)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    journal: Journal
    reports: Reports
    store: OutputStore
    clock: Clock

    async def report_attempt(self, attempt_id: str, entry: Mapping[str, Any]) -> None:
        """An attempt that no worker ends any more, unless its end had been put into words already."""
        order = TaskAssigned.model_validate(entry["order"])
        record_id = end_report.end_id(order.node_session, attempt_id)
        if record_id not in self.journal.reports:
            work = order.work
            directory = AttemptDirectory(Path(entry["directory"]), attempt_id)
            outcome = failed(REASON, directory.find_partial(work.stage, work.outputs), code="worker_lost")
            contents = await self.store.store(outcome, {}, directory.path)
            report = end_report.failed(order, outcome, contents, entry["started_at_ms"], self.clock.now_ms())
            self.reports.add(report, record_id, trace=entry["trace"], cause=entry["cause"])
        self.journal.write("ended", attempt_id)

    def report_instance(self, instance_id: str, entry: Mapping[str, Any], node_id: str) -> None:
        """A worker that the new life has killed, or found dead."""
        session, incarnation = entry["node_session"], entry["incarnation"]
        report = WorkerGone(
            workspace_id=entry["workspace_id"],
            instance_id=instance_id,
            node_id=node_id,
            node_session=session,
            incarnation=incarnation,
            reason=REASON,
        )
        self.reports.add(report, derive_id(session, "gone", instance_id, incarnation))
        self.journal.write("gone", instance_id)
