"""`clawx bench messages`: how soon a message to a busy instance is acknowledged, at a steady rate."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from bus.blobs import digest_of
from bus.channel import Partition
from bus.clock import SystemClock
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Record
from services.cli.bench.fleet import Fleet, fleet
from services.cli.bench.pace import at_rate
from services.cli.failure import Failed
from services.records.content import Content, Resources
from services.records.instance import InstanceEnded, InstanceReady, InstanceRefused, InstanceRequested
from services.records.message import (
    MessageAcknowledged,
    MessageContext,
    MessageExpired,
    MessageRefused,
    TaskMessageRequested,
)
from services.records.task import RunRefused, RunRequested, TaskAssigned

READY_S_MAX = 180
LAST_S_MAX = 60
"""How long the last messages may take after the last one was sent."""

WARM_UP_S = 2.0
PAYLOAD = json.dumps({"text": "x" * 200}).encode()
PROFESSION = "qa_engineer"


@dataclass(kw_only=True)
class Talk:
    """Messages at a steady rate to instances at work, each timed from when it was due to its acknowledgement."""

    fleet: Fleet
    instances: int
    workspaces: int
    agent: str
    latencies_s: list[float] = field(default_factory=list)
    _due: dict[str, float] = field(default_factory=dict)
    _places: list[tuple[str, str]] = field(default_factory=list)  # workspace and instance

    async def prepare(self) -> None:
        """Make the instances, and give each a task that waits for messages."""
        self._publisher = Publisher(self.fleet.log, self.fleet.codec, SystemClock())
        ready = await self._read("event", (InstanceReady, InstanceRefused, InstanceEnded))
        for number in range(self.instances):
            await self._publisher.publish(self._instance(f"w{number % self.workspaces}"))
        await self._gather(ready, InstanceReady)
        definition = await self.fleet.blobs.put(_definition())
        at_work = await self._read("task", (TaskAssigned, RunRefused))
        for workspace, _ in self._places:
            run = RunRequested(workspace_id=workspace, workflow_id="talk", definition=definition)
            await self._publisher.publish(run)
        await self._gather(at_work, TaskAssigned)
        self._ends = await self._read("task", (MessageAcknowledged, MessageRefused, MessageExpired))

    async def _read(self, channel: str, kinds: Collection[type[Record]]) -> FencedReader:
        places = {Partition(channel, number): START for number in range(self.fleet.log.partitions)}
        return await FencedReader.open(self.fleet.log, self.fleet.codec, places, kinds)

    def _instance(self, workspace: str) -> InstanceRequested:
        return InstanceRequested(
            workspace_id=workspace,
            profession=PROFESSION,
            agent="script",
            driver=self.agent,
            resources=Resources(cpu_millis=1, memory_mib=1, slots=1),
        )

    async def _gather(self, reader: FencedReader, wanted: type[Record]) -> None:
        """One such record for each instance."""
        found = 0
        async with asyncio.timeout(READY_S_MAX):
            while found < self.instances:
                for envelope in await reader.read():
                    record = envelope.record
                    if not isinstance(record, wanted):
                        raise Failed(f"the instances could not be set to work: {getattr(record, 'reason', '')}")
                    found += 1
                    if isinstance(record, InstanceReady):
                        self._places.append((record.workspace_id, record.instance_id))
        await reader.close()

    async def run(self, rate: int, seconds: float) -> float:
        """Send so many a second for so long; seconds until all were acknowledged."""
        began, count = time.perf_counter(), int(rate * seconds)
        hearing = asyncio.create_task(self._hear(count))
        await at_rate(rate, count, self._send)
        async with asyncio.timeout(LAST_S_MAX):
            await hearing
        return time.perf_counter() - began

    async def _send(self, number: int, due: float) -> None:
        workspace, instance_id = self._places[number % len(self._places)]
        message_id = secrets.token_hex(12)
        self._due[message_id] = due
        ask = TaskMessageRequested(
            workspace_id=workspace,
            target_instance=instance_id,
            message_type="request",
            payload=Content(name="payload", digest=digest_of(PAYLOAD), size=len(PAYLOAD), inline=PAYLOAD),
            context=MessageContext(requires_ack=True),
        )
        await self._publisher.publish(ask, record_id=message_id)

    async def _hear(self, count: int) -> None:
        while count:
            for envelope in await self._ends.read(wait_ms=200):
                record = envelope.record
                if not isinstance(record, MessageAcknowledged):
                    raise Failed(f"message {record.message_id} was not received: {record.reason}")
                if (due := self._due.pop(record.message_id, None)) is not None:
                    self.latencies_s.append(time.perf_counter() - due)
                    count -= 1

    async def close(self) -> None:
        await self._ends.close()
        await self._publisher.close()


async def bench_messages(
    bus: str, rate: int, seconds: float, instances: int, workspaces: int, agent: str
) -> dict[str, Any]:
    """Send messages at this rate and give `rate`, `p50_ms`, `p99_ms`, `cpu_us_per_message`."""
    async with fleet(bus) as system:
        talk = Talk(fleet=system, instances=instances, workspaces=workspaces, agent=agent)
        await talk.prepare()
        await talk.run(rate, WARM_UP_S)
        talk.latencies_s.clear()
        before_s = system.cpu_s()
        took_s = await talk.run(rate, seconds)
        used_s, count = system.cpu_s() - before_s, len(talk.latencies_s)
        await talk.close()
        cuts = quantiles(talk.latencies_s, n=100)
        return {
            "messages": count,
            "instances": instances,
            "rate": round(count / took_s, 1),
            "p50_ms": round(cuts[49] * 1000, 2),
            "p99_ms": round(cuts[98] * 1000, 2),
            "cpu_us_per_message": round(used_s / count * 1e6, 1),
            "namespace": system.namespace,
        }


def _definition() -> bytes:
    from services.definitions.workflow import read_workflow

    script = [{"expect": {"count": 1_000_000_000, "within": "1h"}}]
    stage = {"id": "listen", "profession": PROFESSION, "agent": "script", "timeout": "1h", "with": {"script": script}}
    return read_workflow(json.dumps({"id": "talk", "stages": [stage]}).encode(), "talk").workflow.to_json()
