"""Conversations, schedules and the runs that these start, in bad weather.

Instances come and go, write to each other through clients that repeat themselves, and receive what they are sent or do
not; schedules are made, triggered, paused and deleted; routers and orchestrators crash, sleep and lose partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

from bus.blobs import digest_of
from bus.channel import Partition, partition_number
from bus.errors import BlobMissing, Retryable
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Claimed, Origin, Record, derive_trace
from services.definitions.workflow import read_workflow
from services.orchestrator.runs import RUNS
from services.orchestrator.schedules import SCHEDULES
from services.records import language_codec
from services.records.event import InstanceEnded, InstanceReady
from services.records.message import MessageReceived, MessageSent
from services.records.schedule import (
    CATCH_UPS,
    OVERLAPS,
    ScheduleChangeRequested,
    ScheduleCreateRequested,
    Start,
    Timetable,
)
from services.router.conversations import CONVERSATIONS
from services.topology import HOMES
from tests.services.router.conversation_cases import message
from tests.simulation.bank_process import Process
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import VirtualClock, elapse
from tests.simulation.snapshots import SimulatedSnapshots
from tests.simulation.storage import Storage
from tests.simulation.weather import CALM, CLIENTS, STORMS

PARTITIONS = 2
CODEC = language_codec()
SERVICES = {"router": (CONVERSATIONS,), "orchestrator": (RUNS, SCHEDULES)}
NAMES = ("ann", "bob", "cid", "dan")
TARGETS = (*NAMES, "eve", "profession:qa_engineer", "profession:poet", "all", "person:pat", "room:one")
WORKSPACES = ("w0", "w1", "w2")
RUN = read_workflow(b"id: nap\nstages:\n  - {id: nap, kind: wait, wait: {for: 2500ms}}\n", "nap").workflow.to_json()
SETTLE_S_MAX = 900.0


class TownBlobs:
    """Holds the one definition, and answers when it likes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    async def get(self, digest: str) -> bytes:
        await elapse(self._rng.uniform(0.0001, 0.05))
        if digest != digest_of(RUN):
            raise BlobMissing(digest)
        return RUN

    async def put(self, content: bytes) -> str:
        return digest_of(content)


class TownWorld:
    """A world of one seed; after `run` the log in `storage` tells what happened."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.storage = Storage(PARTITIONS)
        self.processes: dict[str, list[Process]] = {}
        self.crashes = 0
        self.asked: dict[str, set[str]] = {"message": set(), "schedule": set()}

    async def run(self) -> None:
        """Storm, then calm, then silence."""
        self.blobs, self.snapshots = TownBlobs(self.rng), SimulatedSnapshots(self.rng)
        for service in SERVICES:
            self.processes[service] = [self._start(service) for _ in range(2)]
            self._rebalance(service)
        self.publisher = Publisher(SimulatedLog(self.storage, self.rng, CLIENTS), CODEC, self._clock())
        receiving = asyncio.create_task(self._receive())
        living = asyncio.create_task(self._live())
        for _ in range(self.rng.randint(3, 7)):
            await elapse(self.rng.uniform(0.2, 4))
            await self._trouble()
        await living
        await self._calm()
        receiving.cancel()

    def _clock(self) -> VirtualClock:
        return VirtualClock(asyncio.get_running_loop())

    def _start(self, service: str) -> Process:
        return Process(
            service,
            self.storage,
            self.rng,
            self.rng.choice(STORMS),
            self._clock(),
            self.blobs,  # type: ignore[arg-type]
            snapshots=self.snapshots,
            roles=SERVICES[service],
            homes=HOMES,
            codec=CODEC,
        )

    def _rebalance(self, service: str) -> None:
        owners = [self.rng.choice(self.processes[service]) for _ in range(PARTITIONS)]
        for process in self.processes[service]:
            process.assignment.set(frozenset(n for n, owner in enumerate(owners) if owner is process))

    async def _trouble(self) -> None:
        service = self.rng.choice(sorted(SERVICES))
        processes = self.processes[service]
        process = self.rng.choice(processes)
        if self.rng.random() < 0.7:
            self.crashes += 1
            await process.crash()
            processes[processes.index(process)] = self._start(service)
        else:
            process.log.pause()
            asyncio.get_running_loop().call_later(self.rng.uniform(0.5, 5), process.log.resume)
        self._rebalance(service)

    async def _live(self) -> None:
        rng = self.rng
        for name in NAMES[:3]:
            await self._say(self._ready(name, 1), f"ready-{name}")
        for n in range(rng.randint(20, 40)):
            await elapse(rng.uniform(0, 0.8))
            what = rng.random()
            if what < 0.6:
                await self._send(n)
            elif what < 0.7:
                await self._say(self._ready(rng.choice(NAMES), n + 2), f"ready-{n}")
            elif what < 0.75:
                name = rng.choice(NAMES)
                ended = InstanceEnded(workspace_id=self._home(name), instance_id=name, status="lost")
                await self._say(ended, f"ended-{n}")
            else:
                await self._plan(n)

    def _home(self, name: str) -> str:
        """Where an instance lives, which is for life."""
        return WORKSPACES[len(WORKSPACES) * NAMES.index(name) // len(NAMES)]

    def _ready(self, name: str, incarnation: int) -> InstanceReady:
        return InstanceReady(
            workspace_id=self._home(name),
            instance_id=name,
            profession="qa_engineer",
            name=name,
            agent="script",
            node_id="n",
            node_session="s",
            incarnation=incarnation,
            slots=1,
        )

    async def _send(self, n: int) -> None:
        rng = self.rng
        kind = rng.choice(("request", "notification", "share", "feedback"))
        target = rng.choice(TARGETS)
        workspace = self._home(target if target in NAMES else "ann") if rng.random() < 0.8 else rng.choice(WORKSPACES)
        asked = message(target, kind, source="", workspace_id=workspace)
        asked = asked.model_copy(update={"expires_in_ms": rng.choice((1_000, 8_000, 40_000))})
        self.asked["message"].add(f"message-{n}")
        for _ in range(rng.choice((1, 1, 2))):
            await self._say(asked, f"message-{n}")

    async def _plan(self, n: int) -> None:
        rng = self.rng
        name, workspace = rng.choice(("a", "b")), rng.choice(WORKSPACES)
        if rng.random() < 0.5:
            table = Timetable(
                every_ms=rng.choice((1_000, 3_000)), overlap=rng.choice(OVERLAPS), catch_up=rng.choice(CATCH_UPS)
            )
            start = Start(workflow_id="nap", definition=digest_of(RUN))
            ask: Record = ScheduleCreateRequested(
                workspace_id=workspace, schedule_id=name, timetable=table, start=start
            )
        else:
            change = rng.choice(("pause", "resume", "trigger", "trigger", "delete"))
            ask = ScheduleChangeRequested(workspace_id=workspace, schedule_id=name, change=change)
        self.asked["schedule"].add(f"schedule-{n}")
        await self._say(ask, f"schedule-{n}")

    async def _say(self, record: Record, record_id: str) -> None:
        """As a client does it: repeat until it is acknowledged. Facts of roles that are not in this world go as they
        are, under no claim of theirs, so that they must be reports here."""
        while True:
            with contextlib.suppress(Retryable):
                if isinstance(record, InstanceReady | InstanceEnded):
                    self._land(record, record_id)
                else:
                    await self.publisher.publish(record, record_id=record_id)
                return

    def _land(self, fact: Any, record_id: str) -> None:
        """What factory.instances says, claimed once and in sequence, without faults of its own."""
        partition = Partition("event", partition_number(fact.workspace_id, PARTITIONS))
        count = sum(b"factory.instances" in dict(each.headers)["clawx"] for each in self.storage.records[partition])
        now_ms, raws = self._clock().now_ms(), []
        if not count:
            claim = Claimed(role="factory.instances", session="f", epoch=1)
            origin = Origin("claim", "factory.instances", "f", 1)
            raws.append(CODEC.encode(claim, record_id="claim", origin=origin, time_ms=now_ms, trace=derive_trace("c")))
            count = 1
        origin = Origin("fact", "factory.instances", "f", 1, count - 1)
        raws.append(CODEC.encode(fact, record_id=record_id, origin=origin, time_ms=now_ms, trace=derive_trace("f")))
        self.storage.land(partition, raws)

    async def _receive(self) -> None:
        """Workers: most of what they are sent they receive, sooner or later, once or twice."""
        log = SimulatedLog(self.storage, self.rng, CALM)
        places = {Partition("task", number): START for number in range(PARTITIONS)}
        reader = await FencedReader.open(log, CODEC, places, [MessageSent])
        reports = []
        while True:
            for envelope in await reader.read():
                sent = envelope.record
                twice = [each for each in sent.deliveries for _ in range(self.rng.choice((0, 1, 1, 2)))]
                reports += [asyncio.create_task(self._report(sent, each)) for each in twice]

    async def _report(self, sent: MessageSent, delivery: Any) -> None:
        await elapse(self.rng.uniform(0, 3))
        report = MessageReceived(
            workspace_id=sent.workspace_id,
            message_id=sent.message.message_id,
            **delivery.model_dump(),
        )
        await self._say(report, f"received-{sent.message.message_id}-{delivery.instance_id}-{delivery.incarnation}")

    async def _calm(self) -> None:
        """The faults stop and all schedules are deleted; one process of each service is left until all is quiet."""
        await elapse(6)
        for processes in self.processes.values():
            for process in processes:
                process.log.weather = CALM
            for process in processes[:-1]:
                await process.crash()
            del processes[:-1]
            processes[0].assignment.set(frozenset(range(PARTITIONS)))
        self.publisher = Publisher(SimulatedLog(self.storage, self.rng, CALM), CODEC, self._clock())
        await elapse(10)
        for workspace in WORKSPACES:
            for name in ("a", "b"):
                ask = ScheduleChangeRequested(workspace_id=workspace, schedule_id=name, change="delete")
                await self._say(ask, f"delete-{workspace}-{name}")
        length, waited_s = -1, 0.0
        while length != len(self.storage):
            length, waited_s = len(self.storage), waited_s + 50
            assert waited_s < SETTLE_S_MAX, "records are still written"
            await elapse(50)
