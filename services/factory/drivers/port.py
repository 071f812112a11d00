"""The port of all drivers: starting a worker kept apart from the rest, and what a running worker can do."""

from asyncio import Future
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.factory.agents.port import Assignment, Outcome
from services.factory.provider_calls import ProviderCalls
from services.records.content import Resources


class WorkerFailed(Exception):
    """A worker could not be started: at which step, and why in a sentence."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(reason)
        self.step, self.reason = step, reason


def _leave(attempt_id: str, what: object) -> None:
    """Nobody is told of messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """The worker to be started, and whom it tells what it does."""

    worker_id: str  # of this incarnation of the instance
    directory: Path  # of the instance; it is there
    agent: str
    resources: Resources
    hosts: tuple[str, ...]  # that it may reach, as NAME:PORT; where the driver leaves it no network, by a proxy
    ended: Callable[[str, Outcome], None]  # an attempt, and how it ended
    printed: Callable[[str, str], None]  # an attempt, and a line
    calls: ProviderCalls  # what its attempts ask providers for
    used: Callable[[str, Mapping[str, int]], None]  # an attempt, and what it has used so far
    sent: Callable[[str, Mapping[str, Any]], None] = _leave  # an attempt, and a draft of a message
    received: Callable[[str, str], None] = _leave  # an attempt, and the id of a message


class Worker(Protocol):
    """One running worker."""

    pid: int  # 0 for none of its own
    born: int  # clock ticks since boot at which its process started
    limits: tuple[str, ...]  # those that are really in force
    needs_files: bool  # whether attempts are laid down as files for it

    @property
    def gone(self) -> "Future[str]":
        """Ends, with a reason, once neither the worker nor any process of it exists."""
        ...

    def give(self, assignment: Assignment) -> None:
        """Let it work on an attempt; `ended` is called once for it, unless the worker goes first."""
        ...

    def stop(self, attempt_id: str, code: str) -> None:
        """End an attempt; its outcome has this code."""
        ...

    def deliver(self, attempt_id: str, letter: Mapping[str, Any]) -> None:
        """Hand a message to an attempt; `received` is called once it has it."""
        ...

    def ping(self) -> bool:
        """Ask whether it is there; returns whether it has answered since the last time."""
        ...

    async def end(self, *, grace_ms: int) -> None:
        """End it and all it started, the hard way after the grace; returns when `gone` has ended."""
        ...


class Driver(Protocol):
    """Starts workers."""

    def limits(self, resources: Resources) -> tuple[str, ...]:
        """Those that will be in force for a worker with these resources: LAYER=VALUE, see `limits.LAYERS`."""
        ...

    async def start(self, plan: WorkerPlan) -> Worker:
        """A worker that has said hello. Raises WorkerFailed; nothing is left of it then."""
        ...

    async def close(self) -> None:
        """End every worker."""
        ...
