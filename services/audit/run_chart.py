"""A run over its definition: how often each stage came to which end, and which branches were taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bus.record import Envelope, Record
from services.audit.progress import WATCHED, Execution, Progress
from services.definitions.flowchart import Marks, draw_workflow
from services.definitions.workflow import Workflow
from services.diagram import Diagram, State
from services.records.task import RunStarted, StageCompleted, StageEnded

CHARTED: tuple[type[Record], ...] = WATCHED
"""What a chart is folded from, under the key of its workspace."""

_ORDER = ("completed", "failed", "cancelled", "skipped")


class RunChart:
    """One run. Give it the envelopes of CHARTED types, in order; others are ignored."""

    def __init__(self, run_id: str) -> None:
        self.progress = Progress(run_id)
        self.definition = ""  # digest
        self._taken: Counter[tuple[str, int]] = Counter()

    def apply(self, envelope: Envelope) -> None:
        """Take one record in."""
        record = envelope.record
        if not self.progress.concerns(record):
            return
        self.progress.apply(envelope)
        if isinstance(record, RunStarted):
            self.definition = record.definition
        elif isinstance(record, StageCompleted | StageEnded):
            level = record.stage.rpartition("/")[0]
            self._taken.update((level, token.edge) for token in record.tokens if token.taken)

    def draw(self, workflow: Workflow) -> Diagram:
        """The definition with what became of it."""
        stages: dict[str, list[Execution]] = {}
        for execution in self.progress.executions.values():
            stages.setdefault(execution.key.stage, []).append(execution)
        marks = Marks(
            states={name: _state(found) for name, found in stages.items()},
            lines={name: [_count(found)] for name, found in stages.items()},
            taken=self._taken,
        )
        drawn = draw_workflow(workflow, marks)
        title = f"{drawn.title}: {self.progress.run_id} {self.progress.status}"
        return Diagram(title=title, boxes=drawn.boxes, arrows=drawn.arrows, frames=drawn.frames)


def _state(executions: Iterable[Execution]) -> State:
    """What is at work shows first, then what failed, then how it ended last."""
    found = list(executions)
    if any(not each.has_ended for each in found):
        return "active"
    last = found[-1].status
    match "failed" if any(each.status == "failed" for each in found) and last != "completed" else last:
        case "completed":
            return "completed"
        case "failed":
            return "failed"
        case "cancelled":
            return "cancelled"
    return "skipped"


def _count(executions: Iterable[Execution]) -> str:
    counted = Counter(each.status if each.has_ended else f"{each.status} now" for each in executions)
    others = sorted(status for status in counted if status not in _ORDER)
    return ", ".join(f"{counted[status]}× {status}" for status in (*_ORDER, *others) if counted[status])
