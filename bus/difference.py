"""What a replay compares: the facts that stand in a log and those that today's code decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus.channel import Partition
from bus.decision import Said
from bus.framing import frame_of
from bus.record import InputQuarantined

DECISION = "decision"
"""A recorded decision would be another one today."""

SILENT = "silent"
"""An input led to no fact, and would today."""

POST = "post"
"""A post is not what the fact behind it says."""

UNREADABLE = "unreadable"
"""A record that counts cannot be read or folded by today's code, which would halt there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where today's code would not have said what stands in the log."""

    kind: str
    role: str
    home: Partition
    offset: int  # at home: of the decision, or of where an input had to lead to one
    time_ms: int
    cause: str
    reason: str
    expected: tuple[Said, ...] = ()
    decided: tuple[Said, ...] = ()
    lacking: tuple[str, ...] = ()  # digests that the blob store has no content for


def find_fault(expected: Sequence[Said], decided: Sequence[Said]) -> str:
    """In a sentence, the first thing in which a decision differs from what stands in the log; nothing if they agree."""
    if not decided and expected:
        return "it would decide nothing"
    for index, (old, new) in enumerate(zip(expected, decided, strict=False)):
        if fault := _compare(old, new):
            return f"fact {index + 1} of {len(expected)}: {fault}"
    if len(expected) != len(decided):
        return f"it would decide {len(decided)} facts instead of {len(expected)}"
    return ""


def _compare(old: Said, new: Said) -> str:
    if old.type != new.type:
        return f"a {new.type} instead of a {old.type}"
    if old.id != new.id:
        return f"the {old.type} would have the id {new.id} instead of {old.id}"
    if old.key != new.key:
        return f"the {old.type} would stand under the key {new.key.decode()!r} instead of {old.key.decode()!r}"
    if old.trace != new.trace:
        return f"the {old.type} would belong to the trace {new.trace} instead of {old.trace}"
    return _compare_bodies(old, new)


def _compare_bodies(old: Said, new: Said) -> str:
    if isinstance(old.fact, InputQuarantined) and isinstance(new.fact, InputQuarantined):
        return _compare_quarantines(old.fact, new.fact)
    if old.value == new.value:
        return ""
    fields = [name for name in type(old.fact).model_fields if getattr(old.fact, name) != getattr(new.fact, name, None)]
    if fields:
        return f"the {old.type} would differ in {', '.join(fields)}"
    if frame_of(old.value) != frame_of(new.value):  # written with an older schema, and equal when read with today's
        return ""
    return f"the {old.type} would have equal fields and other bytes; does its order come from a set or a map?"


def _compare_quarantines(old: InputQuarantined, new: InputQuarantined) -> str:
    """The words of an exception belong to Python and its libraries; only its class is ours to keep."""
    if old.model_copy(update={"reason": ""}) != new.model_copy(update={"reason": ""}):
        return "the InputQuarantined would name another input"
    if _class_of(old.reason) != _class_of(new.reason):
        return f"it would be quarantined because {new.reason!r} instead of {old.reason!r}"
    return ""


def _class_of(reason: str) -> str:
    return reason if reason.startswith("undecodable") else ":".join(reason.split(":")[:2])
