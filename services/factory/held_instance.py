"""An instance that this node holds: what its owner ordered, its worker, and the attempts that it was given."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bus.record import Envelope
from services.definitions.profession import Profession
from services.factory.agents.port import Assignment
from services.factory.allowance import Allowance
from services.factory.attempt_directory import AttemptDirectory
from services.factory.drivers.port import Worker
from services.records.instance import InstanceStarting
from services.records.task import TaskAssigned


@dataclass(slots=True, kw_only=True, eq=False)
class HeldInstance:
    """From InstanceStarting to WorkerGone. `session` is the node session that it belongs to, for all its reports."""

    order: InstanceStarting
    trace: str
    cause: str
    directory: Path
    starting: asyncio.Future[None] | None = None  # until the worker has said hello or failed to
    worker: Worker | None = None
    profession: Profession | None = None  # where its agent needs to know more than a name
    is_ready: bool = False
    steps: dict[str, int] = field(default_factory=dict)  # of its creation, with the time at which each was done
    stop_reason: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    finishing: asyncio.Task[None] | None = None
    running: int = 0
    waiting: "deque[Attempt]" = field(default_factory=deque)
    attempts: "dict[str, Attempt]" = field(default_factory=dict)
    mail: dict[str, Envelope] = field(default_factory=dict)  # messages that it has not received yet
    handed: dict[str, str] = field(default_factory=dict)  # of those, the attempt that has it
    received: dict[str, None] = field(default_factory=dict)  # messages, the latest ones

    @property
    def instance_id(self) -> str:
        return self.order.instance_id

    @property
    def session(self) -> str:
        return self.order.node_session

    @property
    def incarnation(self) -> int:
        return self.order.incarnation

    @property
    def worker_id(self) -> str:
        return f"{self.order.instance_id}.{self.order.incarnation}"

    @property
    def agent(self) -> str:
        """That it was ordered with, else its profession's."""
        return self.order.agent or (self.profession.agent if self.profession else "script")

    @property
    def slots(self) -> int:
        return max(1, self.order.resources.slots)


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """An attempt that the roster assigned to a held instance, until its one end report."""

    order: TaskAssigned
    held: HeldInstance
    trace: str
    cause: str
    deadline_ms: int
    started_at_ms: int = 0
    assignment: Assignment | None = None  # once the worker has it
    secrets: Mapping[str, str] = field(default_factory=dict)  # references by variable
    usage: Mapping[str, int] = field(default_factory=dict)  # so far
    is_journalled: bool = False
    has_ended: bool = False
    stop_code: str = ""
    stop_reason: str = ""
    timer: asyncio.TimerHandle | None = None
    laying: asyncio.Task[None] | None = None  # while its inputs are being laid down
    allowance: Allowance | None = None  # where its workspace has budgets
    settled: asyncio.Future[None] | None = None  # somebody waits until its end report is durable
    sent: int = 0  # messages

    @property
    def attempt_id(self) -> str:
        return self.order.attempt_id

    @property
    def agent(self) -> str:
        """The stage's agent, else the instance's."""
        return self.order.work.agent or self.held.agent

    @property
    def is_at_work(self) -> bool:
        """Whether its worker has it and is to go on."""
        return self.assignment is not None and not self.has_ended and not self.stop_code

    @property
    def has_files(self) -> bool:
        """Whether it is laid down as files; a script needs to know no more than digests."""
        worker = self.held.worker
        return worker is not None and worker.needs_files and self.agent != "script"

    @property
    def directory(self) -> AttemptDirectory:
        return AttemptDirectory(self.held.directory, self.order.attempt_id)

    @property
    def may_begin(self) -> bool:
        return self.allowance is None or self.allowance.has_begun

    def clear_timer(self) -> None:
        """Let no deadline strike any more."""
        if self.timer:
            self.timer.cancel()
            self.timer = None
