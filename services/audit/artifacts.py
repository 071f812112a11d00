"""The artifacts of a run, version by version: who wrote each, from which base, having read what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bus.record import Envelope, Record
from services.audit.progress import hex_of
from services.records.task import StageCompleted, StageEnded

WRITTEN: tuple[type[Record], ...] = (StageCompleted, StageEnded)
"""What the artifacts of a run are listed from."""


def list_artifacts(run_id: str, envelopes: Iterable[Envelope]) -> Iterator[dict[str, object]]:
    """One line for each version that a stage of the run wrote, in the order of the log; partial output too."""
    for envelope in envelopes:
        record = envelope.record
        if isinstance(record, StageCompleted | StageEnded) and record.run_id == run_id:
            reads = record.reads if isinstance(record, StageCompleted) else ()
            for artifact in record.outputs:
                yield {
                    "name": artifact.name,
                    "version": artifact.version,
                    "sha256": hex_of(artifact.digest),
                    "stage": record.stage,
                    "execution": record.execution,
                    **({"item": record.item} if record.item >= 0 else {}),
                    "base_version": artifact.base_version,
                    "reads": [{"name": r.name, "version": r.version, "sha256": hex_of(r.digest)} for r in reads],
                }
