"""How something came about, or what it led to: a tree of causes for whatever an id names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bus.record import Envelope
from services.audit.history import History, grow, told
from services.audit.subject import Subject, find_subject
from services.audit.trace import Node, build_trace

_LONG_LIVED = frozenset({"instance", "node", "profession", "workspace", "pool"})
"""What is named by the records of many runs: of each only the cause is shown, not all that led to it."""


def explain(text: str, envelopes: Iterable[Envelope], *, effects: bool = False) -> Node:
    """The tree of what an id names, from the records that count on the traced channels.

    Of a run everything that belongs to it; of anything else the records that name it, each under all that led to it.
    With `effects` the other direction: what those records led to. Raises NothingToTrace.
    """
    told_once = list(envelopes)
    history = History(told_once)
    subject = find_subject(history, text)
    if effects:
        return _effects(history, subject)
    if subject.kind == "run":
        return build_trace(text, told_once)
    return _causes(history, subject)


def _causes(history: History, subject: Subject) -> Node:
    shown: dict[str, Envelope] = {}
    for number, envelope in enumerate(subject.records):
        depth_max = 1 if number and subject.kind in _LONG_LIVED else None
        shown.update((str(each.at), each) for each in _way_to(history, envelope, depth_max))
    nodes = {place: Node(envelope=envelope) for place, envelope in shown.items()}
    parents: dict[str, str] = {}
    for place, envelope in shown.items():
        cause = history.cause_of(envelope)
        if cause is not None and str(cause.at) in nodes:
            parents[place] = str(cause.at)
    ordered = sorted(shown, key=lambda place: told(shown[place]))
    _adopt(ordered, {str(envelope.at) for envelope in subject.records}, parents)
    for place in ordered:
        if place in parents:
            nodes[parents[place]].children.append(nodes[place])
    return nodes[next(place for place in ordered if place not in parents)]


def _adopt(ordered: list[str], named: set[str], parents: dict[str, str]) -> None:
    """What has no cause here hangs under the newest earlier record of the subject, or else under the first of all."""
    root = next(place for place in ordered if place not in parents)
    newest = root
    for place in ordered:
        if place not in parents and place != root:
            parents[place] = newest if _top(newest, parents) != place else root
        if place in named:
            newest = place


def _top(place: str, parents: dict[str, str]) -> str:
    while place in parents:
        place = parents[place]
    return place


def _way_to(history: History, envelope: Envelope, depth_max: int | None) -> Iterator[Envelope]:
    """A record and what led to it, step by step."""
    each: Envelope | None = envelope
    depth = 0
    while each is not None and (depth_max is None or depth <= depth_max):
        yield each
        each, depth = history.cause_of(each), depth + 1


def _effects(history: History, subject: Subject) -> Node:
    """What the first record led to; what else names the subject and is not among it hangs below that record."""
    root = grow(history, subject.records[0])
    covered = {str(node.at) for node in root.walk()}
    for envelope in subject.records[1:]:
        if str(envelope.at) in covered:
            continue
        branch = grow(history, envelope)
        covered |= {str(node.at) for node in branch.walk()}
        root.children.append(branch)
    return root
