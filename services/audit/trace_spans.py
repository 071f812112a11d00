"""When each execution of a stage was asked for, begun and ended, from the records of a trace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.audit.trace import Node
from services.records.task import StageCompleted, StageEnded, StageStarted, TaskAssigned, TaskRequested


@dataclass(slots=True, kw_only=True)
class Span:
    """One execution; it ends with the trace where the trace does not say how."""

    name: str
    asked_ms: int
    begun_ms: int = 0
    ended_ms: int = 0
    status: str = "active"


def read_spans(nodes: Iterable[Node]) -> list[Span]:
    """One for each execution that was asked for, in that order; the nodes come in the order of time."""
    found: dict[tuple[object, ...], Span] = {}
    last_ms = 0
    for node in nodes:
        record, last_ms = node.envelope.record, node.envelope.time_ms
        match record:
            case TaskRequested():
                _span(found, record.work, last_ms)
            case StageStarted():
                _span(found, record, last_ms).begun_ms = last_ms
            case TaskAssigned():
                _span(found, record.work, last_ms).begun_ms = last_ms
            case StageCompleted() | StageEnded() if _key(record) in found:
                span = found[_key(record)]
                span.ended_ms = last_ms
                span.status = record.status if isinstance(record, StageEnded) else "completed"
    for span in found.values():
        span.ended_ms = span.ended_ms or last_ms
    return list(found.values())


def _key(work: Any) -> tuple[object, ...]:
    return (work.run_id, work.stage, work.execution, work.item)


def _span(found: dict[tuple[object, ...], Span], work: Any, time_ms: int) -> Span:
    again = f" #{work.execution}" if work.execution > 1 else ""
    item = f"[{work.item}]" if work.item >= 0 else ""
    return found.setdefault(_key(work), Span(name=f"{work.stage}{item}{again}", asked_ms=time_ms))
