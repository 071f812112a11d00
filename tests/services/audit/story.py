"""Records of a run as they stand on the log, told by hand: each with its place, its time and its cause."""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.channel import Position
from bus.record import Ask, Envelope, Fact, Origin, Record, Report
from services.records.content import Artifact, Work

START_MS = 1_700_000_000_000


@dataclass(slots=True)
class Story:
    """A log being told, a millisecond a record unless time is let pass."""

    now_ms: int = START_MS
    envelopes: list[Envelope] = field(default_factory=list)
    _ends: dict[str, int] = field(default_factory=dict)

    def tell(
        self, record: Record, cause: Envelope | str | None = None, *, role: str = "a.role", record_id: str = ""
    ) -> Envelope:
        """Put a record at the end of its channel."""
        kind = "fact" if isinstance(record, Fact) else "ask" if isinstance(record, Ask) else "report"
        return self._put(record, kind, cause, role if kind == "fact" else "", record_id)

    def post(self, fact: Envelope) -> Envelope:
        """Deliver a posted fact."""
        return self._put(fact.record, "post", fact, fact.origin.role, fact.id)

    def pass_time(self, ms: int) -> None:
        """Let nothing happen."""
        self.now_ms += ms

    def _put(self, record: Record, kind: str, cause: Envelope | str | None, role: str, record_id: str) -> Envelope:
        offset = self._ends.get(record.channel, 0)
        self._ends[record.channel] = offset + 1
        self.now_ms += 1
        at = Position(record.channel, 0, offset)
        because = str(cause.at) if isinstance(cause, Envelope) else cause or ""
        origin = Origin(kind if isinstance(record, Ask | Report | Fact) else "fact", role, cause=because)
        told = Envelope(record, record_id or f"id-{at}", origin, at, self.now_ms, "0" * 32, record.key())
        self.envelopes.append(told)
        return told


def work(run_id: str, stage: str, execution: int = 1, item: int = -1) -> Work:
    """The work of a stage execution."""
    return Work(run_id=run_id, stage=stage, execution=execution, item=item, profession="tester")


def artifact(name: str, version: int = 1, content: bytes = b"x") -> Artifact:
    """A small artifact."""
    import hashlib

    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Artifact(name=name, version=version, digest=digest, size=len(content), inline=content)
