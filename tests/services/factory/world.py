"""The world around a node under test: a real log and blob store, owners that write facts, and ears for its reports."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from bus.address import open_log
from bus.blobs import DirectoryBlobs, digest_of
from bus.channel import Partition, partition_number
from bus.clock import SystemClock
from bus.log import Log
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Claimed, Envelope, Fact, Origin, Record, derive_id, derive_trace
from services.factory.node import Node, NodeSettings
from services.records import language_codec
from services.records.content import Artifact, Resources, Work
from services.records.instance import InstanceStarting, InstanceStopping
from services.records.message import MessageReceived, MessageSent
from services.records.node import CapacityGranted, NodeAccepted, NodeJoined, NodeLeft, WorkerGone, WorkerStarted
from services.records.task import AttemptCancelled, TaskAssigned, TaskCompleted, TaskFailed
from services.records.telemetry import NodeHeartbeat, WorkerOutput
from tests.eventually import eventually

CODEC = language_codec()
PARTITIONS = 2
WORKSPACE = "default"
ROOMY = Resources(cpu_millis=8_000, memory_mib=8_192, slots=16)
OWNERS: dict[type[Fact], str] = {
    NodeAccepted: "allocator.pool",
    CapacityGranted: "allocator.pool",
    InstanceStarting: "factory.instances",
    InstanceStopping: "factory.instances",
    TaskAssigned: "router.roster",
    AttemptCancelled: "router.roster",
    MessageSent: "router.conversations",
}
HEARD: dict[str, tuple[type[Record], ...]] = {
    "event": (NodeJoined, NodeLeft, WorkerStarted, WorkerGone),
    "task": (TaskCompleted, TaskFailed, MessageReceived),
    "telemetry": (NodeHeartbeat, WorkerOutput),
}
R = TypeVar("R", bound=Record)


class Owners:
    """Writes facts as their roles do: under a claim, in sequence."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._claims: dict[tuple[str, Partition], tuple[str, int, int]] = {}

    async def say(self, *facts: Fact, role: str = "") -> None:
        for fact in facts:
            await self._say(fact, role or OWNERS.get(type(fact), "allocator.pool"))

    async def _say(self, fact: Fact, role: str) -> None:
        partition = Partition(fact.channel, partition_number(fact.key(), self._log.partitions))
        appender = await self._log.appender()
        if (role, partition) not in self._claims:
            session, epoch = secrets.token_hex(8), await self._next_epoch(role, partition)
            claim = Claimed(role=role, session=session, epoch=epoch)
            origin = Origin("claim", role, session, epoch)
            await appender.append(partition, [encode(claim, origin, key=role)])
            self._claims[role, partition] = session, epoch, 0
        session, epoch, seq = self._claims[role, partition]
        await appender.append(partition, [encode(fact, Origin("fact", role, session, epoch, seq))])
        self._claims[role, partition] = session, epoch, seq + 1
        await appender.close()

    async def _next_epoch(self, role: str, partition: Partition) -> int:
        end = (await self._log.ends([partition]))[partition]
        reader = await FencedReader.open(self._log, CODEC, {partition: START}, [])
        while reader.places()[partition].offset < end:
            await reader.read()
        fences = reader.places()[partition].fences
        await reader.close()
        return fences[role].epoch + 1 if role in fences else 1


def encode(record: Record, origin: Origin, key: str = "") -> Any:
    record_id = derive_id(origin, secrets.token_hex(8))
    return CODEC.encode(
        record,
        record_id=record_id,
        origin=origin,
        time_ms=SystemClock().now_ms(),
        trace=derive_trace(record_id),
        key=key,
    )


class World:
    """One log, its owners, and all that nodes have reported to it so far."""

    def __init__(self, log: Log, directory: Path) -> None:
        self.log, self.directory = log, directory
        self.blobs = DirectoryBlobs(directory / "blobs")
        self.owners = Owners(log)
        self.heard: list[Envelope] = []
        self.sessions: dict[str, str] = {}
        self._ears: list[asyncio.Task[None]] = []
        self._attempts = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path, url: str = "", **heard: tuple[type[Record], ...]) -> AsyncIterator[World]:
        """On the log of a URL, else on an embedded one in the directory.

        `heard` are record types that the world listens to, by channel, instead of HEARD.
        """
        log = await open_log(url or f"sqlite:///{directory / 'log'}", partitions=PARTITIONS)
        world = cls(log, directory)
        await world._listen(heard or HEARD)
        try:
            yield world
        finally:
            for ear in world._ears:
                ear.cancel()
            await asyncio.gather(*world._ears, return_exceptions=True)
            await log.close()

    async def _listen(self, heard: Mapping[str, tuple[type[Record], ...]]) -> None:
        for channel, wanted in heard.items():
            places = {Partition(channel, number): START for number in range(PARTITIONS)}
            reader = await FencedReader.open(self.log, CODEC, places, wanted)
            self._ears.append(asyncio.create_task(self._follow(reader)))

    async def _follow(self, reader: FencedReader) -> None:
        while True:
            self.heard += await reader.read()

    def all(self, kind: type[R], **fields: object) -> list[R]:
        """The reports of a type with these fields, in the order heard."""
        records = [each.record for each in self.heard if type(each.record) is kind]
        return [r for r in records if all(getattr(r, name) == value for name, value in fields.items())]

    async def first(self, kind: type[R], timeout_s: float = 60, **fields: object) -> R:
        """The first such report, once it is there."""
        found = await eventually(lambda: self.all(kind, **fields), timeout_s, f"a {kind.__name__} with {fields}")
        return found[0]

    @asynccontextmanager
    async def node(self, node_id: str = "n1", **settings: Any) -> AsyncIterator[Node]:
        """A running node that its pool has accepted."""
        node = self.make_node(node_id, **settings)
        running = asyncio.create_task(node.run())
        try:
            await self.accept(node, node_id)
            yield node
        finally:
            running.cancel()
            await node.close()
            await asyncio.gather(running, return_exceptions=True)

    def make_node(self, node_id: str = "n1", **settings: Any) -> Node:
        chosen = NodeSettings(
            **{
                "node_id": node_id,
                "directory": self.directory / f"node-{node_id}",
                "capacity": ROOMY,
                "heartbeat_ms": 100,
                **settings,
            }
        )
        return Node(self.log, CODEC, self.blobs, SystemClock(), chosen)

    async def accept(self, node: Node, node_id: str = "n1") -> str:
        """Let the pool accept the session that the node joins with now, or next."""
        await eventually(
            lambda: node.session != self.sessions.get(node_id) and self.all(NodeJoined, node_session=node.session),
            what=f"node {node_id} joins",
        )
        self.sessions[node_id] = session = node.session
        await self.owners.say(NodeAccepted(pool="default", node_id=node_id, node_session=session, capacity=ROOMY))
        await eventually(lambda: node.is_accepted, what=f"node {node_id} knows that it is accepted")
        return session

    async def start(self, instance_id: str = "i1", *, ready: bool = True, **fields: Any) -> InstanceStarting:
        """Grant and order an instance on the node."""
        node_id = fields.pop("node_id", "n1")
        order = InstanceStarting(
            **{
                "workspace_id": WORKSPACE,
                "instance_id": instance_id,
                "grant_id": f"g-{instance_id}",
                "node_id": node_id,
                "node_session": self.sessions[node_id],
                "incarnation": 1,
                "profession": "qa_engineer",
                "name": instance_id,
                "agent": "script",
                "driver": "process",
                "resources": Resources(slots=3),
                **fields,
            }
        )
        grant = CapacityGranted(
            pool="default",
            workspace_id=order.workspace_id,
            instance_id=instance_id,
            grant_id=order.grant_id,
            node_id=node_id,
            node_session=order.node_session,
            resources=order.resources,
        )
        await self.owners.say(grant, order)
        if ready:
            await self.first(WorkerStarted, instance_id=instance_id, incarnation=order.incarnation)
        return order

    async def stop(self, order: InstanceStarting) -> WorkerGone:
        """Order the end of an instance and wait for its worker to be gone."""
        await self.owners.say(
            InstanceStopping(
                workspace_id=order.workspace_id,
                instance_id=order.instance_id,
                node_id=order.node_id,
                node_session=order.node_session,
                incarnation=order.incarnation,
            )
        )
        return await self.first(WorkerGone, instance_id=order.instance_id, incarnation=order.incarnation)

    def task(self, order: InstanceStarting, **fields: Any) -> TaskAssigned:
        """An attempt for an instance; fields go to the work, or to the assignment if it has them."""
        self._attempts += 1
        attempt_id = fields.pop("attempt_id", f"a{self._attempts}")
        outer = {name: fields.pop(name) for name in list(fields) if name in TaskAssigned.model_fields}
        parameters = fields.pop("parameters", {})
        work = Work(
            **{
                "run_id": "r1",
                "stage": "s1",
                "execution": 1,
                "parameters": parameters if isinstance(parameters, str) else json.dumps(parameters),
                "outputs": ("out",),
                **fields,
            }
        )
        return TaskAssigned(
            **{
                "workspace_id": order.workspace_id,
                "task_id": f"t-{attempt_id}",
                "attempt_id": attempt_id,
                "instance_id": order.instance_id,
                "node_id": order.node_id,
                "node_session": order.node_session,
                "incarnation": order.incarnation,
                "deadline_ms": SystemClock().now_ms() + work.timeout_ms,
                "work": work,
                **outer,
            }
        )

    async def assign(self, order: InstanceStarting, **fields: Any) -> TaskAssigned:
        assigned = self.task(order, **fields)
        await self.owners.say(assigned)
        return assigned

    async def end_of(self, assigned: TaskAssigned, timeout_s: float = 60) -> TaskCompleted | TaskFailed:
        """The one end report of an attempt."""

        def ends() -> list[TaskCompleted | TaskFailed]:
            return [
                *self.all(TaskCompleted, attempt_id=assigned.attempt_id),
                *self.all(TaskFailed, attempt_id=assigned.attempt_id),
            ]

        found = await eventually(ends, timeout_s, f"an end report of {assigned.attempt_id}")
        assert len(found) == 1
        return found[0]

    def publisher(self) -> Publisher:
        return Publisher(self.log, CODEC, SystemClock())


def artifact(name: str, data: bytes, version: int = 1, media_type: str = "text/plain") -> Artifact:
    return Artifact(
        name=name, version=version, digest=digest_of(data), size=len(data), media_type=media_type, inline=data
    )


def python(program: str, *arguments: str) -> dict[str, Any]:
    """Parameters of a command agent that runs a Python program."""
    return {"command": [sys.executable, "-I", "-c", program, *arguments]}
