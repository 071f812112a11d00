"""The state of the runs of a partition: what is under way in each, its tokens and its artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from immutables import Map

from bus.deadline import Deadlines
from bus.record import derive_id
from bus.seen import Seen
from services.orchestrator.flow import NO_INNER, Flow, Inner, Parts, key_of
from services.orchestrator.game import Game
from services.orchestrator.keys import Keys
from services.records.content import Artifact, Content
from services.records.token import Due

DUE, WAITING, WORKING, RETRYING, SPLIT, CANCELLED = "due", "waiting", "working", "retrying", "split", "cancelled"

QUALITY = "quality"
"""The code of an attempt whose result is not good enough by its own word."""

IDS_MAX = 16_384
"""Ids that are kept at hand, since each is wanted several times."""


class Execution(NamedTuple):
    """An execution of a stage that is under way, or an item of one."""

    stage: str
    number: int
    task_id: str
    order: int  # counts the executions of the run
    status: str = DUE
    waits_for: str = ""
    attempt: int = 0
    attempt_id: str = ""
    bases: Map[str, int] = Map()  # versions of its outputs when its attempt was asked for
    began_ms: int = 0
    due: int = 0  # how much of what is due is about it
    item: int = -1
    mutexes: tuple[str, ...] = ()  # that it holds or waits for
    parts: Parts | None = None
    sent_back: str = ""  # why a result was, once


class Forking(NamedTuple):
    """Which run it takes over what was done from, as of which offset, and how far it is with that."""

    run_id: str
    offset: int
    shift_ms: int  # since then
    part: int = 0  # the next one


class Pause(NamedTuple):
    """The deadlines of a paused run: how much is left of each, or the date that it waits for."""

    left: Map[str, int] = Map()
    dates: Map[str, int] = Map()


class Run(NamedTuple):
    """A run that has not ended."""

    workspace_id: str
    run_id: str
    definition: str  # digest
    inputs: tuple[Artifact, ...]
    game: Game = Game()
    artifacts: Map[str, Artifact] = Map()  # the newest version of each name
    open: Map[str, Execution] = Map()  # by task
    due: tuple[Due, ...] = ()
    said: int = 0  # of what was due
    order: int = 0
    ending: str = ""  # the status that it ends with, once nothing goes on
    reason: str = ""
    inner: Inner = NO_INNER
    fork: Forking | None = None  # while it takes over what was done
    pause: Pause | None = None  # while it is paused

    def after(self, game: Game, artifacts: Map[str, Artifact], open_: Map[str, Execution], order: int) -> Run:
        """The run after what happens most often; `_replace` takes twice as long."""
        return Run(
            self.workspace_id,
            self.run_id,
            self.definition,
            self.inputs,
            game,
            artifacts,
            open_,
            self.due,
            self.said,
            order,
            self.ending,
            self.reason,
            self.inner,
            self.fork,
            self.pause,
        )

    @property
    def is_closing(self) -> bool:
        """Whether it ends and none of its stages is being undone."""
        return bool(self.ending) and not self.inner.undo.task

    @property
    def item(self) -> int:
        """As a flow it is that of no item."""
        return -1

    def newest(self, name: str) -> int:
        """The newest version of an artifact, 0 for none."""
        artifact = self.artifacts.get(name)
        return artifact.version if artifact else 0

    def flow(self, stage: str, item: int = -1) -> Run | Flow:
        """The subflow that a stage is in, which for an item of a map is that of its map; the run, if it is in none."""
        return self if "/" not in stage else self.inner.flows[self.flow_key(stage, item)]

    def flow_key(self, stage: str, item: int) -> str:
        """How the subflow is called that a stage is in."""
        path = stage.rpartition("/")[0]
        key = key_of(path, item)
        return key if key in self.inner.flows else path

    def is_item(self, stage: str, item: int) -> bool:
        """Whether this is an item of a map, of which the token game knows nothing."""
        return item >= 0 and self.flow(stage, item).item != item

    def executions_of(self, stage: str, item: int = -1) -> list[Execution]:
        """What is under way of a stage, in the order in which it began."""
        flow = self.flow(stage, item)
        state = flow.game.stages.get(stage)
        tasks = [task_id_of(self.run_id, stage, number, flow.item) for number in (state.open if state else ())]
        return [self.open[task] for task in tasks if task in self.open]

    def owner_of(self, execution: Execution) -> Execution | None:
        """The map or the subflow that an execution is a part of."""
        if execution.item < 0 and "/" not in execution.stage:
            return None
        if self.is_item(execution.stage, execution.item):
            return self.open.get(task_id_of(self.run_id, execution.stage, execution.number))
        flow = self.flow(execution.stage, execution.item)
        return self.open.get(flow.owner) if isinstance(flow, Flow) else None

    def owners_of(self, execution: Execution) -> Iterator[Execution]:
        """All that an execution is a part of, from the inside out."""
        owner = self.owner_of(execution)
        while owner is not None:
            yield owner
            owner = self.owner_of(owner)

    def is_stopping(self, execution: Execution) -> bool:
        """Whether something that an execution is a part of is to end."""
        if execution.item < 0 and "/" not in execution.stage:
            return False
        return any(owner.parts is not None and owner.parts.stop is not None for owner in self.owners_of(execution))


class Runs(NamedTuple):
    """All live runs of a partition."""

    live: Map[str, Run] = Map()
    seen: Seen = Seen()  # runs, asks and late results that were answered
    deadlines: Deadlines = Deadlines()
    keys: Keys = Keys()
    late: Seen = Seen()  # attempts that were given up, whose result may still come
    counts: Map[str, int] = Map()  # of live runs, by workspace

    def counted(self, workspace_id: str, change: int) -> Map[str, int]:
        """With so many more live runs of a workspace."""
        count = self.counts.get(workspace_id, 0) + change
        return self.counts.set(workspace_id, count) if count else self.counts.delete(workspace_id)


@lru_cache(maxsize=IDS_MAX)
def task_id_of(run_id: str, stage: str, execution: int, item: int = -1) -> str:
    """The id of the task that an execution of a stage is, or an item of it."""
    return derive_id("task", run_id, stage, execution, *((item,) if item >= 0 else ()))


@lru_cache(maxsize=IDS_MAX)
def attempt_id_of(task_id: str, attempt: int) -> str:
    """The id of one attempt at a task."""
    return derive_id("attempt", task_id, attempt)


def artifact_of(content: Content, version: int, base_version: int) -> Artifact:
    """The version of a name that a content becomes."""
    return Artifact(
        name=content.name,
        version=version,
        digest=content.digest,
        size=content.size,
        media_type=content.media_type,
        inline=content.inline,
        base_version=base_version,
    )
