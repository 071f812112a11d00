"""The runs as they are now, stage by stage."""

from __future__ import annotations

from bus.record import Envelope, Record
from services.audit.artifacts import list_artifacts
from services.audit.progress import WATCHED, Progress
from services.gateway.views.shelf import Shelf
from services.records.content import Artifact
from services.records.task import RunRefused, RunStarted, StageCompleted, StageEnded, StateReused

ENDED_MAX = 5_000
"""Most runs that have ended and are still shown."""

ARTIFACTS_MAX = 10_000
"""Most artifact versions of a run that are listed; the newest stand."""


class KeptRun:
    """One run: its progress, and the versions that its stages wrote."""

    def __init__(self, run_id: str) -> None:
        self.progress = Progress(run_id)
        self.artifacts: list[dict[str, object]] = []
        self.contents: dict[str, Artifact] = {}  # by digest

    @property
    def made_ms(self) -> int:
        return self.progress.started_at_ms or self.progress.ended_at_ms

    def apply(self, envelope: Envelope) -> None:
        record = envelope.record
        self.progress.apply(envelope)
        if isinstance(record, StateReused):
            self.contents.update((each.artifact.digest, each.artifact) for each in record.artifacts)
        if isinstance(record, RunStarted | StageCompleted | StageEnded):
            written = record.inputs if isinstance(record, RunStarted) else record.outputs
            self.contents.update((artifact.digest, artifact) for artifact in written)
            self.artifacts.extend(list_artifacts(self.progress.run_id, [envelope]))
            del self.artifacts[:-ARTIFACTS_MAX]


class RunView:
    """Every run that is under way, and the newest of those that have ended."""

    wants: tuple[type[Record], ...] = WATCHED

    def __init__(self) -> None:
        self.runs: Shelf[KeptRun] = Shelf(lambda r: r.made_ms, lambda r: r.progress.has_ended, ENDED_MAX)

    def apply(self, envelope: Envelope) -> None:
        record = envelope.record
        run_id = record.work.run_id if hasattr(record, "work") else record.run_id
        if isinstance(record, RunStarted | RunRefused) and run_id not in self.runs:
            kept = KeptRun(run_id)
            kept.apply(envelope)
            self.runs[run_id] = kept
        elif kept_ := self.runs.get(run_id):
            kept_.apply(envelope)
            self.runs.settle(run_id)
