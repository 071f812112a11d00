"""What must hold at the end of an ownership schedule, read from the bytes of the logs alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bus.log import Stored


class Line(NamedTuple):
    """What the headers of a record say."""

    offset: int
    type: str
    kind: str
    session: str
    epoch: int
    seq: int
    part: int
    parts: int
    cause: str
    width: int  # the last number of its body, if it has one


def _lines(log: Sequence[Stored]) -> Iterator[Line]:
    for stored in log:
        headers = {name: value.decode() for name, value in stored.headers}
        kind, _, session, epoch, seq, part, parts, cause = headers["clawx"].split("|", 7)
        width = stored.value[-1] // 2  # zigzag: small numbers take one byte
        numbers = int(epoch), int(seq), int(part), int(parts)
        yield Line(stored.offset, headers["ce_type"], kind, session, *numbers, cause, width)


def _admitted(log: Sequence[Stored]) -> list[Line]:
    session, epoch, seq, broken = "", 0, 0, True
    found = []
    for line in _lines(log):
        if line.kind == "claim" and line.epoch == epoch + 1:
            session, epoch, seq, broken = line.session, line.epoch, 0, False
        elif line.kind == "fact" and not broken and (line.session, line.epoch) == (session, epoch):
            broken = line.seq != seq
            seq += 1
            found += [] if broken else [line]
    return found


def check(home: Sequence[Stored], asks: Sequence[Stored], other: Sequence[Stored], sink: Sequence[Stored]) -> str:
    """The first thing that is wrong, or nothing."""
    wanted = {f"data/0/{line.offset}": line.width for line in _lines(asks) if line.width}
    wanted |= {f"event/0/{line.offset}": line.width for line in _admitted(other)}
    facts = [line for line in _admitted(home) if line.type == "Decided"]
    for before, fact in zip([None, *facts], facts, strict=False):
        if fact.cause not in wanted:
            return f"decided on a zombie's word: {fact.cause}"
        if fact.part and (before is None or (before.cause, before.part) != (fact.cause, fact.part - 1)):
            return f"torn decision: {fact.cause}"
    for cause, width in wanted.items():
        got = [line.part for line in facts if line.cause == cause]
        if got != list(range(width)):
            return f"{'lost' if len(got) < width else 'applied twice'}: {cause} has {len(got)} of {width}"
    homes = {f"task/0/{line.offset}" for line in facts}
    posts = {line.cause for line in _lines(sink) if line.kind == "post"}
    if stray := sorted(posts - homes):
        return f"effect without its fact: {stray[0]}"
    return f"effect never happened: {min(homes - posts)}" if homes - posts else ""
