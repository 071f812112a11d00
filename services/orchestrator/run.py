"""The state of the runs of a partition: what is under way in each, its tokens and its artifacts."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from immutables import Map

from bus.deadline import Deadlines
from bus.record import derive_id
from bus.seen import Seen
from services.orchestrator.game import Game
from services.orchestrator.keys import Keys
from services.records.content import Artifact, Content
from services.records.token import Due

DUE, WAITING, WORKING, RETRYING, CANCELLED = "due", "waiting", "working", "retrying", "cancelled"

IDS_MAX = 16_384
"""Ids that are kept at hand, since each is wanted several times."""


class Execution(NamedTuple):
    """An execution of a stage that is under way."""

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

    def newest(self, name: str) -> int:
        """The newest version of an artifact, 0 for none."""
        artifact = self.artifacts.get(name)
        return artifact.version if artifact else 0

    def executions_of(self, stage: str) -> list[Execution]:
        """What is under way of a stage, in the order in which it began."""
        state = self.game.stages.get(stage)
        tasks = [task_id_of(self.run_id, stage, number) for number in (state.open if state else ())]
        return [self.open[task] for task in tasks if task in self.open]


class Runs(NamedTuple):
    """All live runs of a partition."""

    live: Map[str, Run] = Map()
    seen: Seen = Seen()  # runs, asks and late results that were answered
    deadlines: Deadlines = Deadlines()
    keys: Keys = Keys()


@lru_cache(maxsize=IDS_MAX)
def task_id_of(run_id: str, stage: str, execution: int) -> str:
    """The id of the task that an execution of a stage is."""
    return derive_id("task", run_id, stage, execution)


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
