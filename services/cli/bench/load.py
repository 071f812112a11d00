"""The load: three-stage runs of script agents, so many at once, spread over workspaces, counted from the log."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from bus.channel import Partition, partition_number
from bus.clock import SystemClock
from bus.codec import Codec
from bus.log import Raw
from bus.publisher import Publisher
from bus.reader import FencedReader
from bus.record import Envelope, Origin, Record, derive_trace
from services.cli.bench.fleet import Fleet
from services.cli.failure import Failed
from services.records.content import Resources
from services.records.instance import InstanceEnded, InstanceReady, InstanceRefused, InstanceRequested
from services.records.task import RunEnded, RunRefused, RunRequested, run_id_of

PROFESSIONS = ("software_architect", "software_developer", "qa_engineer")
SLOTS = {"inline": 64, "process": 4}
READY_S_MAX = 120
RUN_S_MAX = 300


@dataclass(kw_only=True)
class Load:
    """Keeps `concurrency` runs going until `runs` have ended; `latencies_s` are from asking to hearing the end."""

    fleet: Fleet
    workspaces: int
    concurrency: int
    agent: str
    has_conditions: bool = False  # a `when` on each edge
    latencies_s: list[float] = field(default_factory=list)
    _asked: dict[str, float] = field(default_factory=dict)

    @property
    def codec(self) -> Codec:
        return self.fleet.codec

    async def prepare(self) -> None:
        """Make an instance of each profession in each workspace and keep the definition by its digest."""
        self._publisher = Publisher(self.fleet.log, self.codec, SystemClock())
        self._definition = await self.fleet.blobs.put(_definition(self.has_conditions))
        places = self.fleet.places("event")
        wanted = (InstanceReady, InstanceRefused, InstanceEnded)
        reader = await FencedReader.open(self.fleet.log, self.codec, places, wanted)
        asks = [self._instance(workspace, kind) for workspace in self._names() for kind in PROFESSIONS]
        await self._publish((ask, secrets.token_hex(8)) for ask in asks)
        async with asyncio.timeout(READY_S_MAX):
            ready = 0
            while ready < len(asks):
                ready += sum(_is_ready(envelope) for envelope in await reader.read())
        await reader.close()
        places = self.fleet.places("task")
        self._reader = await FencedReader.open(self.fleet.log, self.codec, places, (RunEnded, RunRefused))

    def _names(self) -> Iterable[str]:
        return (f"w{number}" for number in range(self.workspaces))

    def _instance(self, workspace: str, profession: str) -> InstanceRequested:
        return InstanceRequested(
            workspace_id=workspace,
            profession=profession,
            agent="script",
            driver=self.agent,
            resources=Resources(cpu_millis=1, memory_mib=1, slots=SLOTS[self.agent]),
        )

    async def run(self, runs: int) -> float:
        """Seconds until so many runs have ended, all of them well."""
        started, waiting, ended = time.perf_counter(), deque(range(runs)), 0
        async with asyncio.timeout(RUN_S_MAX):
            await self._ask(waiting)
            while ended < runs:
                found = await self._reader.read()
                for envelope in found:
                    ended += self._note(envelope)
                await self._ask(waiting)
        return time.perf_counter() - started

    async def _ask(self, waiting: deque[int]) -> None:
        asks = []
        while waiting and len(self._asked) < self.concurrency:
            ask_id = secrets.token_hex(12)
            self._asked[run_id_of(ask_id)] = time.perf_counter()
            workspace = f"w{waiting.popleft() % self.workspaces}"
            ask = RunRequested(workspace_id=workspace, workflow_id="bench", definition=self._definition)
            asks.append((ask, ask_id))
        if asks:
            await self._publish(asks)

    def _note(self, envelope: Envelope) -> bool:
        record = envelope.record
        asked = self._asked.pop(record.run_id, None)
        if asked is None:
            return False
        if isinstance(record, RunRefused) or record.status != "completed":
            raise Failed(f"run {record.run_id} did not complete: {record.reason}")
        self.latencies_s.append(time.perf_counter() - asked)
        return True

    async def _publish(self, asks: Iterable[tuple[Record, str]]) -> None:
        """One batch for each partition."""
        batches: dict[Partition, list[Raw]] = defaultdict(list)
        now_ms = int(time.time() * 1000)
        for ask, ask_id in asks:
            raw = self.codec.encode(
                ask, record_id=ask_id, origin=Origin("ask"), time_ms=now_ms, trace=derive_trace(ask_id)
            )
            number = partition_number(ask.key(), self.fleet.log.partitions)
            batches[Partition(ask.channel, number)].append(raw)
        await asyncio.gather(*(self._publisher.append(partition, raws) for partition, raws in batches.items()))

    async def close(self) -> None:
        await self._reader.close()
        await self._publisher.close()


def _is_ready(envelope: Envelope) -> bool:
    if isinstance(envelope.record, InstanceReady):
        return True
    raise Failed(f"an instance could not be made: {envelope.record.reason}")


def _definition(has_conditions: bool) -> bytes:
    from services.definitions.workflow import read_workflow

    def edge(to: str) -> object:
        return {"to": to, "when": "!has(result.failed)"} if has_conditions else to

    names = ("design", "build", "check")
    stages = [
        {
            "id": name,
            "profession": kind,
            "agent": "script",
            "output": [f"{name}_out"],
            "next": [edge(after)] if after else [],
        }
        for name, kind, after in zip(names, PROFESSIONS, (*names[1:], ""), strict=True)
    ]
    return read_workflow(json.dumps({"id": "bench", "stages": stages}).encode(), "bench").workflow.to_json()
