"""What nobody can read is set aside once on each channel of a running system, and the rest of the partition goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.channel import STATE_CHANNELS, Partition
from bus.codec import Codec
from bus.log import Log, Raw
from bus.record import Ask, Claimed, InputQuarantined, Origin, PostAcknowledged, Record
from services.definitions.workflow import read_workflow
from services.records import language_codec
from services.records.task import RunEnded, RunRequested, run_id_of
from services.settings import Settings
from services.system import System, hosted
from services.topology import ROLES
from tests.bus.bank_runtime import heard

FLOW = b"id: tiny\nstages: [{id: only, kind: end, end: {status: completed}}]\n"


class Unheard(Ask, channel="task"):
    """An ask of which this system knows nothing."""

    workspace_id: str


def poison() -> list[Raw]:
    """Nothing at all, a known ask whose body is torn, one of an unknown type, and a claim that says no epoch."""
    torn = language_codec().encode(
        RunRequested(workspace_id="default", workflow_id="w", definition="d"),
        record_id="torn",
        origin=Origin("ask"),
        time_ms=1,
        trace="a" * 32,
    )
    unknown = Codec((Unheard,)).encode(
        Unheard(workspace_id="default"), record_id="unknown", origin=Origin("ask"), time_ms=1, trace="a" * 32
    )
    garbled = Origin("claim", "orchestrator.runs", "stranger", 1)
    claim = language_codec().encode(
        Claimed(role="orchestrator.runs", session="stranger", epoch=1),
        record_id="claim",
        origin=garbled,
        time_ms=1,
        trace="a" * 32,
    )
    headers = tuple((name, value.replace(b"|1|", b"|one|")) for name, value in claim.headers)
    return [Raw(b"", b"", (), 0), torn._replace(value=torn.value[:-3]), unknown, claim._replace(headers=headers)]


def strangers() -> list[Raw]:
    """Well-formed words that are nobody's to say: claims of the past and of the future, a fact, an acknowledgement."""
    role, codec = "orchestrator.runs", language_codec()
    records: list[tuple[Record, Origin]] = [
        (Claimed(role=role, session="stranger", epoch=epoch), Origin("claim", role, "stranger", epoch))
        for epoch in (0, 1, 7, 2**31)
    ]
    ended = RunEnded(workspace_id="default", run_id="r", status="completed")
    records.append((ended, Origin("fact", role, "stranger", 1, 0)))
    acknowledged = PostAcknowledged(sender=role, role="router.roster", partition=0, number=2**40)
    records.append((acknowledged, Origin("report")))
    return [
        codec.encode(record, record_id=f"stranger-{number}", origin=origin, time_ms=1, trace="a" * 32)
        for number, (record, origin) in enumerate(records)
    ]


async def append_poison(log: Log) -> list[str]:
    """Put each kind of poison on each channel; gives where they stand."""
    appender, at = await log.appender(), []
    for channel in STATE_CHANNELS:
        first = await appender.append(Partition(channel, 0), poison())
        at += [f"{channel}/0/{first + each}" for each in range(len(poison()))]
    await appender.close()
    return at


async def run_to_its_end(system: System) -> str:
    """How a small run ends."""
    flow = read_workflow(FLOW, "tiny.yaml").workflow
    await system.blobs.put(flow.to_json())
    ask = RunRequested(workspace_id="default", workflow_id=flow.id, definition=flow.digest())
    await system.bus.publish(ask, record_id="again")
    (ended,) = await heard(system.log, language_codec(), RunEnded, 1)
    assert ended.record.run_id == run_id_of("again")
    return str(ended.record.status)


@pytest.mark.timeout(180)
async def test_what_nobody_can_read_is_set_aside_once_and_the_partition_goes_on(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", partitions=1)
    async with hosted(settings, node=False) as system:
        await system.decides()
        appender = await system.log.appender()
        await appender.append(Partition("task", 0), strangers())
        await appender.close()
        at = await append_poison(system.log)
        assert await run_to_its_end(system) == "completed"
        named = {channel: role.name for role in ROLES for channel in role.quarantines}
        found = []
        for channel in STATE_CHANNELS:
            for said in await heard(system.log, language_codec(), InputQuarantined, len(poison()), channel=channel):
                assert said.origin.role == named[channel]
                found.append(said.record.input)
        assert sorted(found) == sorted(at)
        assert not system.halted
