"""The causal tree of a run: which record led to which, over all channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bus.channel import Position
from bus.record import Envelope, Record
from services.audit.summary import summarise
from services.records.data import RECORDS as DATA
from services.records.event import RECORDS as EVENT
from services.records.review import RECORDS as REVIEW
from services.records.schedule import ScheduledRunRequested
from services.records.task import RECORDS as TASK
from services.records.task import RunForkRequested, RunRefused, RunRequested, RunStarted, run_id_of

TRACED: Mapping[str, tuple[type[Record], ...]] = {"task": TASK, "event": EVENT, "data": DATA, "review": REVIEW}
"""The channels that a trace reads, with the types that may stand in it."""


class NothingToTrace(Exception):
    """No record names this."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A record in the tree, under the one that led to it."""

    envelope: Envelope
    children: list[Node] = field(default_factory=list)

    @property
    def at(self) -> Position:
        assert self.envelope.at is not None  # only what stands on a log is traced
        return self.envelope.at

    def walk(self) -> Iterator[Node]:
        """This node and all below it, without recursion since a long run is a deep tree."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def build_trace(run_id: str, envelopes: Iterable[Envelope]) -> Node:
    """The tree of a run from the admitted records of the TRACED channels, in order within each partition.

    A record hangs under its cause. Where the cause is none of the run's (a deadline, an instance that was there
    before, nothing at all), it hangs under the newest earlier record on the same attempt, task, stage or run. Raises
    NothingToTrace.
    """
    return _Growth(run_id, envelopes).grow()


class _Growth:
    """The building of one tree."""

    def __init__(self, run_id: str, envelopes: Iterable[Envelope]) -> None:
        self._run_id = run_id
        self._effects: dict[str, list[Envelope]] = {}
        self._homes: dict[str, str] = {}  # of each post, the fact behind it
        self._named: list[Envelope] = []
        self._nodes: dict[str, Node] = {}
        self._subjects: dict[str, Node] = {}
        for envelope in envelopes:
            self._note(envelope)

    def _note(self, envelope: Envelope) -> None:
        cause = envelope.origin.cause
        if envelope.origin.kind == "post":
            self._homes[str(envelope.at)] = cause
            return
        run = run_of(envelope)
        if run and run != self._run_id:
            return
        if run:
            self._named.append(envelope)
        self._effects.setdefault(cause, []).append(envelope)

    def grow(self) -> Node:
        """Cover everything that the root led to, then what else names the run."""
        for post, home in self._homes.items():
            self._effects.setdefault(home, []).extend(self._effects.pop(post, ()))
        root = self._cover(Node(envelope=self._root()))
        for envelope in self._named:
            known = self._nodes.get(str(envelope.at))
            if known is None:
                parent = self._parent(envelope.record) or root
                known = self._cover(Node(envelope=envelope))
                parent.children.append(known)
            if known is not None:
                self._subjects.update((subject, known) for subject in subjects_of(envelope.record))
        for node in self._nodes.values():
            node.children.sort(key=lambda child: (child.envelope.time_ms, *child.at))
        return root

    def _root(self) -> Envelope:
        for kind in (RunRequested | RunForkRequested | ScheduledRunRequested, RunStarted | RunRefused):
            if found := next((e for e in self._named if isinstance(e.record, kind)), None):
                return found
        raise NothingToTrace(f"no record names a run {self._run_id}")

    def _parent(self, record: Record) -> Node | None:
        return next((self._subjects[s] for s in subjects_of(record) if s in self._subjects), None)

    def _cover(self, top: Node) -> Node:
        waiting = [top]
        while waiting:
            node = waiting.pop()
            self._nodes[str(node.envelope.at)] = node
            for effect in self._effects.get(str(node.envelope.at), ()):
                if str(effect.at) not in self._nodes:
                    child = Node(envelope=effect)
                    self._nodes[str(effect.at)] = child
                    node.children.append(child)
                    waiting.append(child)
        return top


def run_of(envelope: Envelope) -> str:
    """The run that a record names, or asks for, or nothing."""
    record = envelope.record
    if isinstance(record, RunRequested | RunForkRequested):
        return run_id_of(envelope.id)
    work = getattr(record, "work", None)
    return str(work.run_id if work else getattr(record, "run_id", ""))


def subjects_of(record: Record) -> Iterator[str]:
    """What a record is about, the narrowest first."""
    work = getattr(record, "work", None) or record
    for name in ("attempt_id", "task_id"):
        if value := getattr(record, name, ""):
            yield f"{name}:{value}"
    if stage := getattr(work, "stage", ""):
        yield f"stage:{stage}/{getattr(work, 'execution', '')}/{getattr(work, 'item', -1)}"


def to_json(root: Node) -> str:
    """The tree as one JSON object; written without recursion, since a long run nests deeper than Python recurses."""
    import json

    parts: list[str] = []
    waiting: list[Node | str] = [root]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        parts.append(json.dumps(describe(item), ensure_ascii=False)[:-1] + ', "children": [')
        waiting.append("]}")
        for index, child in reversed(list(enumerate(item.children))):
            waiting.append(child)
            if index:
                waiting.append(", ")
    return "".join(parts)


def describe(node: Node) -> dict[str, object]:
    """One node without its children."""
    envelope, at = node.envelope, node.at
    return {
        "id": envelope.id,
        "type": type(envelope.record).__name__,
        "role": envelope.origin.role,
        "time_ms": envelope.time_ms,
        "channel": at.channel,
        "partition": at.number,
        "offset": at.offset,
        "cause": envelope.origin.cause,
        "actor": actor_of(envelope),
        "summary": summarise(envelope.record),
    }


def actor_of(envelope: Envelope) -> str:
    """Who acted: the role that decided, the person who asked, or the instance or node that reports."""
    record = envelope.record
    names = ("actor", "voter", "reviewer", "instance_id", "node_id")
    return envelope.origin.role or next((str(value) for name in names if (value := getattr(record, name, ""))), "")


def is_bad(node: Node) -> bool:
    """Whether something went wrong there."""
    kind = type(node.envelope.record).__name__
    status = getattr(node.envelope.record, "status", "")
    return status == "failed" or kind.endswith(("Refused", "Failed", "Lost", "Conflicted"))
