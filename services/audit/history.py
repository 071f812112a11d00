"""What the log says, by place and by cause, a post standing for the fact behind it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from bus.channel import Position
from bus.record import Envelope
from services.audit.trace import Node, run_of, subjects_of


class History:
    """Everything that counts on the traced channels, in order within each partition."""

    def __init__(self, envelopes: Iterable[Envelope]) -> None:
        self._by_place: dict[str, Envelope] = {}
        self._homes: dict[str, str] = {}  # of each post, the fact behind it
        self._effects: dict[str, list[Envelope]] = {}
        for envelope in envelopes:
            if envelope.origin.kind == "post":
                self._homes[str(envelope.at)] = envelope.origin.cause
            else:
                self._by_place[str(envelope.at)] = envelope
        self._about: dict[str, list[Envelope]] = {}
        for envelope in sorted(self._by_place.values(), key=_place):
            for subject in _about(envelope):
                self._about.setdefault(subject, []).append(envelope)
        for envelope in self._by_place.values():
            cause = self.cause_of(envelope)
            if cause is not None:
                self._effects.setdefault(str(cause.at), []).append(envelope)

    def __iter__(self) -> Iterator[Envelope]:
        return iter(self._by_place.values())

    def at(self, place: str) -> Envelope | None:
        """The record at a place such as `task/0/12`; at that of a post, the fact behind it."""
        return self._by_place.get(self._home(place))

    def cause_of(self, envelope: Envelope) -> Envelope | None:
        """The record that led to this one; None for what came from outside.

        Where a deadline did, it is the newest record before it, in its partition, on the same attempt, task, stage or
        run; so that no chain of causes comes back to where it began.
        """
        cause = envelope.origin.cause
        return self._before(envelope) if cause.startswith("deadline:") else self.at(cause)

    def _before(self, envelope: Envelope) -> Envelope | None:
        for subject in _about(envelope):
            found = self._about[subject]
            number = bisect_left(found, _place(envelope), key=_place)
            if number and _place(found[number - 1])[:2] == _place(envelope)[:2]:
                return found[number - 1]
        return None

    def effects_of(self, envelope: Envelope) -> list[Envelope]:
        """What this record led to at once, the oldest first."""
        return sorted(self._effects.get(str(envelope.at), ()), key=told)

    def _home(self, place: str) -> str:
        return self._homes.get(place, place)


def _about(envelope: Envelope) -> Iterator[str]:
    yield from subjects_of(envelope.record)
    if run := run_of(envelope):
        yield f"run:{run}"


def _place(envelope: Envelope) -> Position:
    assert envelope.at is not None  # only what stands on a log is traced
    return envelope.at


def told(envelope: Envelope) -> tuple[object, ...]:
    """By time, then by place: the order in which records are shown."""
    return (envelope.time_ms, *_place(envelope))


def grow(history: History, root: Envelope) -> Node:
    """The tree of all that a record led to."""
    top = Node(envelope=root)
    waiting, covered = [top], {str(root.at)}
    while waiting:
        node = waiting.pop()
        for effect in history.effects_of(node.envelope):
            if str(effect.at) not in covered:
                covered.add(str(effect.at))
                node.children.append(Node(envelope=effect))
        waiting.extend(node.children)
    return top
