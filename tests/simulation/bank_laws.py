"""What holds for the log of any roles: ids, decisions, order, time, causes. Each problem starts with its invariant."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from bus.record import Ask, Fact, Posted
from tests.bus.bank import LANGUAGE
from tests.simulation.bank_lines import Line, Place

BASES = {kind.__name__: kind for kind in LANGUAGE}


def broken_laws(lines: Sequence[Line], facts: Sequence[Line]) -> Iterator[str]:
    """All that is wrong with the order and origin of the facts that count."""
    by_position = {line.at: line for line in lines}
    by_place: dict[Place, list[Line]] = defaultdict(list)
    for fact in facts:
        by_place[fact.place].append(fact)
    yield from _ids(facts, by_position)
    yield from _causes(facts, by_position)
    for place, said in by_place.items():
        yield from _decisions(place, said)
        yield from _order(place, said)
        yield from _heard(place, said)


def _ids(facts: Sequence[Line], by_position: Mapping[str, Line]) -> Iterator[str]:
    """No id stands twice, but for inputs that were repeated under one id; and each derives from its cause (law 6)."""
    causes: dict[str, str] = {}
    for fact in facts:
        known = _cause_id(fact, by_position)
        if causes.setdefault(fact.id, known or fact.at) != (known or fact.at):
            yield f"I11: the id of the {fact.type} at {fact.at} stands more than once"
        if known and fact.id != _derived(fact.role, known, fact.part):
            yield f"I11: the id of the {fact.type} at {fact.at} does not derive from its cause {fact.cause}"


def _cause_id(fact: Line, by_position: Mapping[str, Line]) -> str:
    if fact.type == "InputQuarantined":
        return fact.cause
    if fact.cause.startswith("deadline:"):
        return fact.cause.removeprefix("deadline:")
    cause = by_position.get(fact.cause)
    return cause.id if cause else ""


def _derived(*parts: object) -> str:
    return hashlib.blake2b("|".join(str(part) for part in parts).encode(), digest_size=12).hexdigest()


def _causes(facts: Sequence[Line], by_position: Mapping[str, Line]) -> Iterator[str]:
    """Each cause is in the log, and a fact that caused something counts itself."""
    counted = {fact.at for fact in facts}
    for fact in facts:
        if not fact.cause or fact.cause.startswith("deadline:") or fact.type == "InputQuarantined":
            continue
        cause = by_position.get(fact.cause)
        if cause is None:
            yield f"I7: the cause {fact.cause} of {fact.at} is not in the log"
        elif cause.partition == fact.partition and cause.offset >= fact.offset:
            yield f"I7: the cause {fact.cause} of {fact.at} comes after it"
        elif cause.kind == "fact" and cause.at not in counted:
            yield f"I5: {fact.at} acts on the fact {fact.cause}, which does not count"
        elif cause.kind not in _kinds(cause.type):
            yield f"I5: {fact.at} acts on {fact.cause}, a {cause.type} that says it is a {cause.kind}"


def _kinds(name: str) -> tuple[str, ...]:
    kind = BASES[name]
    if issubclass(kind, Posted):
        return ("fact", "post")
    return ("fact",) if issubclass(kind, Fact) else ("ask",) if issubclass(kind, Ask) else ("report",)


def _decisions(place: Place, said: Sequence[Line]) -> Iterator[str]:
    """Whole, and one for each cause."""
    causes = Counter(f.cause for f in said if f.part == 0 and f.cause)
    yield from (f"I2: {place} decided {cause} {n} times" for cause, n in causes.items() if n > 1)
    before: Line | None = None
    for fact in said:
        follows = before is not None and (fact.cause, fact.part) == (before.cause, before.part + 1)
        ended = before is None or before.part + 1 == before.parts
        if follows is ended or (follows and before and fact.offset != before.offset + 1):
            yield f"I3: torn decision of {place} at offset {fact.offset}"
        before = fact
    if before and before.part + 1 != before.parts:
        yield f"I3: the last decision of {place} is cut short"


def _order(place: Place, said: Sequence[Line]) -> Iterator[str]:
    """Time never goes back, and inputs of one channel are decided in the order of its log."""
    last: dict[str, int] = {}
    for before, after in pairwise(said):
        if after.time_ms < before.time_ms:
            yield f"I10: time of {place} goes back at offset {after.offset}"
    for fact in said:
        if fact.part == 0 and fact.cause and not fact.cause.startswith("deadline:"):
            channel, _, offset = fact.cause.split("/")
            if int(offset) <= last.get(channel, -1):
                yield f"I4: {place} decided {fact.cause} after a later input of its channel"
            last[channel] = max(last.get(channel, -1), int(offset))


def _heard(place: Place, said: Sequence[Line]) -> Iterator[str]:
    """What an owner notes of its inputs never goes back."""
    notes = [{i["channel"]: i["offset"] for i in f.body["inputs"]} for f in said if f.type == "Heard"]
    for before, after in pairwise(notes):
        if any(after.get(channel, 0) < offset for channel, offset in before.items()):
            yield f"I4: {place} heard {before} and later only {after}"
