"""A load of small runs of scripts, kept going while a test breaks things, and counted from the raw log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bus.client import Bus
from bus.errors import Retryable
from services.client import connect
from services.definitions.workflow import Workflow, read_workflow
from services.records.content import Resources
from services.records.instance import InstanceRequested
from services.records.task import RunRequested, run_id_of
from tests.system.fleet import Fleet
from tests.system.raw_log import RawLog

FLOW = b"""\
id: small
stages:
  - {id: design, profession: software_architect, output: [design], next: [build], with: WORK}
  - {id: build, profession: software_developer, input: [design], output: [build], next: [check], with: WORK}
  - {id: check, profession: qa_engineer, input: [build], output: [check], with: WORK}
""".replace(b"WORK", b"{script: [{delay: 100ms}]}")
STAGES = ("design", "build", "check")
PROFESSIONS = ("software_architect", "software_developer", "qa_engineer")
WORKSPACES = ("load0", "load1")
AT_ONCE_MAX = 12
ENDS_S_MAX = 200
ROOM = Resources(cpu_millis=1, memory_mib=1, slots=AT_ONCE_MAX)


@dataclass(slots=True)
class Load:
    """Runs over a few workspaces, some at once, for as long as it is wanted, and so many at the least."""

    bus: Bus
    raw: RawLog
    least: int
    wanted: bool = True
    asked: list[str] = field(default_factory=list)  # ids of runs whose ask was acknowledged
    unknown: int = 0  # asks whose acknowledgement never came

    async def ask(self) -> None:
        """Keep asking until enough were asked for and no more is wanted."""
        flow = read_workflow(FLOW, "small.yaml").workflow
        await self.bus.blobs.put(flow.to_json())
        while self.wanted or len(self.asked) < self.least:
            await self.raw.until(self._has_room, ENDS_S_MAX, f"room for more than {len(self.asked)} runs")
            await asyncio.gather(*(self._ask_one(flow, workspace) for workspace in WORKSPACES))

    def _has_room(self) -> bool:
        return len(self.asked) - self.ended() <= AT_ONCE_MAX - len(WORKSPACES)

    async def _ask_one(self, flow: Workflow, workspace: str) -> None:
        """One whose outcome is unknown may come to run too; it is not among those that must."""
        ask = RunRequested(workspace_id=workspace, workflow_id=flow.id, definition=flow.digest())
        ask_id = uuid.uuid4().hex
        try:
            await self.bus.publish(ask, record_id=ask_id)
        except Retryable:
            self.unknown += 1
        else:
            self.asked.append(run_id_of(ask_id))

    def ended(self) -> int:
        """How many of its runs have ended by now."""
        return len({line["run_id"] for line in self.raw.of("RunEnded")}.intersection(self.asked))

    async def ends(self, count: int) -> None:
        """Wait until so many have ended."""
        await self.raw.until(lambda: self.ended() >= count, ENDS_S_MAX, f"the end of {count} runs")

    def check(self) -> None:
        """Every run that was asked for completed, each of its stages once."""
        mine = set(self.asked)
        assert len(mine) == len(self.asked) >= self.least
        ends = {line["run_id"]: line["status"] for line in self.raw.of("RunEnded")}
        assert {run_id: ends.get(run_id) for run_id in mine} == dict.fromkeys(mine, "completed")
        done = [(line["run_id"], line["stage"]) for line in self.raw.of("StageCompleted") if line["run_id"] in mine]
        assert sorted(done) == sorted((run_id, stage) for run_id in mine for stage in STAGES)


def ids_of_asks(raw: RawLog) -> frozenset[str]:
    """Of all runs that anybody asked for."""
    return frozenset(line.id for line in raw.of("RunRequested"))


@asynccontextmanager
async def loaded(system: Fleet, raw: RawLog, least: int) -> AsyncIterator[Load]:
    """A load under way; leaving the block waits until all of it has ended, and checks it."""
    async with connect(system.door, settings=system.settings) as bus:
        await _make_instances(bus, raw)
        load, before = Load(bus, raw, least), ids_of_asks(raw)
        asking = asyncio.create_task(load.ask())
        try:
            yield load
            load.wanted = False
            await asking
            await load.ends(len(load.asked))
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        load.check()
        assert len(ids_of_asks(raw) - before) <= len(load.asked) + load.unknown


async def _make_instances(bus: Bus, raw: RawLog) -> None:
    """One instance of each profession in each workspace, with room for the whole load."""
    for workspace in WORKSPACES:
        for profession in PROFESSIONS:
            ask = InstanceRequested(
                workspace_id=workspace, profession=profession, agent="script", driver="process", resources=ROOM
            )
            await bus.publish(ask)
    count = len(WORKSPACES) * len(PROFESSIONS)
    await raw.find("InstanceReady", after=count - 1)
