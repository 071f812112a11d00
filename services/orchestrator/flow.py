"""What a run keeps of what runs inside it: subflows, the parts of maps, and who holds or waits for a mutex."""

from __future__ import annotations

from typing import NamedTuple

from immutables import Map

from services.orchestrator.game import Game, StageState
from services.records.content import Artifact
from services.records.task import Items


class Flow(NamedTuple):
    """A subflow under way; a run is itself the outermost one."""

    path: str  # of the stage that runs it
    item: int  # of the map that this stage is in, or -1
    owner: str  # the task that it is
    inputs: tuple[Artifact, ...]
    game: Game
    artifacts: Map[str, Artifact] = Map()  # the newest version of each name in it
    open: int = 0  # executions under way in it

    def newest(self, name: str) -> int:
        """The newest version of an artifact, 0 for none."""
        artifact = self.artifacts.get(name)
        return artifact.version if artifact else 0


class Given(NamedTuple):
    """What an item of a map that is collected gave."""

    result: str
    outputs: tuple[Artifact, ...]


class Stop(NamedTuple):
    """How an execution ends once its parts have ended."""

    status: str
    code: str
    reason: str
    told: bool


class Parts(NamedTuple):
    """What an execution consists of: the items of a map, or a subflow."""

    items: Items | None = None
    begun: int = 0
    open: int = 0
    completed: int = 0
    given: Map[int, Given] = Map()
    bytes: int = 0  # of what is given
    stop: Stop | None = None


class Undo(NamedTuple):
    """What is to be undone should the run fail or be cancelled, and how far that is."""

    stages: Map[str, int] = Map()  # that have completed, in which order
    completed: int = 0  # counts them
    task: str = ""  # under way to undo one
    done: int = 0
    failed: tuple[str, ...] = ()  # stages that were to undo another

    def last(self) -> str:
        """The stage that completed last, of those that are not undone; empty if none is left."""
        return max(self.stages, key=self.stages.__getitem__, default="")


class Inner(NamedTuple):
    """What most runs have nothing of."""

    flows: Map[str, Flow] = Map()  # by key
    ready: tuple[str, ...] = ()  # executions with parts that can go on at once
    lists: tuple[str, ...] = ()  # digests of what maps go through
    attempts: Map[str, int] = Map()  # over all executions of a stage in a subflow
    versions: Map[str, int] = Map()  # the newest of each artifact in subflows, over all of them
    past: Map[str, Map[str, StageState]] = Map()  # by key, how often the stages of earlier subflows ran
    undo: Undo = Undo()
    mutexes: Map[str, tuple[str, ...]] = Map()  # the task that holds each, then those that wait for it


NO_INNER = Inner()


def key_of(path: str, item: int) -> str:
    """How a run calls the subflow of a stage, or that of one item of it."""
    return path if item < 0 else f"{path}[{item}]"


def without(tasks: tuple[str, ...], task_id: str) -> tuple[str, ...]:
    """These tasks but for one, once."""
    at = tasks.index(task_id) if task_id in tasks else len(tasks)
    return tasks[:at] + tasks[at + 1 :]
