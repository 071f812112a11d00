"""The monitor tells of each miss and each return once, and accuses nobody whom it could not hear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bus.channel import Partition
from bus.clock import SystemClock
from bus.record import Fact
from services.health.leases import Leases
from services.health.monitor import SUBJECTS, Monitor, MonitorSettings
from services.records.event import (
    LeaseMissed,
    LeaseResumed,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    SubjectUnwatched,
    SubjectWatched,
)
from services.records.telemetry import NodeHeartbeat, WorkerPulse
from services.topology import MONITOR
from tests.eventually import eventually
from tests.services.factory.world import CODEC, PARTITIONS, World

LEASE_MS = 1_500
"""Long beside any pause that a loaded machine makes, since heartbeats come from this process too."""

NODE = SubjectWatched(subject="node:n1", owner_key="pool:default", session="s1")
INSTANCE = SubjectWatched(subject="instance:i1", owner_key="default", session="s1", incarnation=2)


def beat(*instances: str, session: str = "s1", incarnation: int = 2, lease_ms: int = LEASE_MS) -> NodeHeartbeat:
    workers = tuple(
        WorkerPulse(instance_id=instance, workspace_id="default", incarnation=incarnation) for instance in instances
    )
    return NodeHeartbeat(pool="default", node_id="n1", node_session=session, workers=workers, lease_ms=lease_ms)


class Watched:
    """A world with a node that can be heard, and the reports about it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.publisher = world.publisher()

    async def say(self, *facts: Fact) -> None:
        await self.world.owners.say(*facts, role="health.watch")

    async def beat(self, *instances: str, **fields: object) -> None:
        await self.publisher.publish(beat(*instances, **fields))  # type: ignore[arg-type]

    @asynccontextmanager
    async def beating(self, *instances: str) -> AsyncIterator[None]:
        """Heartbeats while inside."""

        async def go_on() -> None:
            while True:
                await self.beat(*instances)
                await eventually(self._later(), what="the next heartbeat is due")

        going = asyncio.create_task(go_on())
        try:
            yield
        finally:
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)

    @staticmethod
    def _later() -> object:
        due = asyncio.get_running_loop().time() + LEASE_MS / 1000 / 6
        return lambda: asyncio.get_running_loop().time() >= due

    @asynccontextmanager
    async def monitor(self, **settings: object) -> AsyncIterator[Monitor]:
        monitor = Monitor(
            self.world.log,
            CODEC,
            SystemClock(),
            MonitorSettings(**{"lease_ms": LEASE_MS, **settings}),  # type: ignore[arg-type]
        )
        running = asyncio.create_task(monitor.run())
        try:
            yield monitor
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await monitor.close()

    def told(self) -> list[str]:
        kinds = {LeaseMissed: "missed", LeaseResumed: "resumed"}
        return [
            f"{kinds[type(each.record)]} {each.record.subject}"
            for each in self.world.heard
            if type(each.record) in kinds
        ]


@pytest.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr("services.health.monitor.TICK_MS", 20)
    async with World.open(tmp_path, event=(LeaseMissed, LeaseResumed)) as world:
        watched = Watched(world)
        yield watched
        await watched.publisher.close()


def test_the_map_says_what_the_monitor_follows_and_reports() -> None:
    assert {*SUBJECTS, NodeHeartbeat} == MONITOR.follows
    assert {LeaseMissed, LeaseResumed} == MONITOR.reports


async def test_a_silent_subject_is_told_once_and_its_return_once(watched: Watched) -> None:
    await watched.say(NODE)
    async with watched.monitor() as monitor:
        await eventually(lambda: watched.told() == ["missed node:n1"])
        async with watched.beating():
            await eventually(lambda: watched.told() == ["missed node:n1", "resumed node:n1"])
        await eventually(lambda: watched.told()[2:] == ["missed node:n1"])
        assert monitor.watched == 1
    missed = watched.world.all(LeaseMissed)[-1]
    resumed = watched.world.all(LeaseResumed)[0]
    assert (missed.owner_key, missed.session, missed.lease_ms) == ("pool:default", "s1", LEASE_MS)
    assert missed.last_seen_ms >= resumed.seen_ms
    assert "telemetry read to its end" in missed.evidence


async def test_a_worker_that_is_left_out_is_missed_while_its_node_is_not(watched: Watched) -> None:
    await watched.say(NODE, INSTANCE)
    async with watched.monitor(), watched.beating():
        await eventually(lambda: watched.told() == ["missed instance:i1"])
        missed = watched.world.all(LeaseMissed)[0]
        assert (missed.owner_key, missed.incarnation) == ("default", 2)
        assert "its node was heard" in missed.evidence


async def test_who_is_heard_in_time_is_not_told(watched: Watched) -> None:
    await watched.say(NODE, INSTANCE, SubjectWatched(subject="node:n2", owner_key="pool:default", session="s2"))
    async with watched.monitor(), watched.beating("i1"):
        await eventually(lambda: "missed node:n2" in watched.told())
        assert watched.told() == ["missed node:n2"]


async def test_words_of_other_sessions_and_incarnations_keep_no_lease(watched: Watched) -> None:
    await watched.say(NODE, INSTANCE)
    async with watched.monitor():
        await watched.beat("i1", session="old", lease_ms=600_000)
        await watched.beat("i1", incarnation=1, lease_ms=600_000)
        await eventually(lambda: watched.told() == ["missed instance:i1"])
        assert "node:n1" not in watched.told(), "its own session was heard with a long lease"


@pytest.mark.parametrize("end", [SubjectUnwatched, SubjectLost])
async def test_nothing_is_told_of_who_is_watched_no_more(watched: Watched, end: type[Fact]) -> None:
    await watched.say(NODE, INSTANCE)
    async with watched.monitor() as monitor:
        fields = {"subject": INSTANCE.subject, "owner_key": "default", "session": "s1"}
        await watched.say(end(**fields, incarnation=1), end(**fields, incarnation=2))
        await eventually(lambda: monitor.watched == 1)
        await eventually(lambda: watched.told() == ["missed node:n1"])


async def test_after_a_take_over_a_late_subject_is_not_told_again_but_its_return_is(watched: Watched) -> None:
    late = SubjectLate(
        subject="node:n1", owner_key="pool:default", session="s1", lost_at_ms=2**50, seen_ms=2**41, evidence=""
    )
    await watched.say(NODE, late, SubjectWatched(subject="node:n2", owner_key="pool:default", session="s2"))
    async with watched.monitor():
        await eventually(lambda: watched.told() == ["missed node:n2"])
        await watched.beat(lease_ms=600_000)
        await eventually(lambda: watched.told()[1:] == ["resumed node:n1"])
        assert watched.world.all(LeaseResumed)[0].seen_ms >= 2**41


async def test_what_has_recovered_can_be_missed_again(watched: Watched) -> None:
    fields = {"subject": "node:n1", "owner_key": "pool:default", "session": "s1"}
    await watched.say(
        NODE, SubjectLate(**fields, lost_at_ms=2**50, seen_ms=5), SubjectRecovered(**fields, seen_ms=2**41)
    )
    async with watched.monitor():
        await eventually(lambda: watched.told() == ["missed node:n1"])
        assert watched.world.all(LeaseMissed)[0].last_seen_ms == 2**41, "never before what the watch knows"


async def test_a_monitor_of_some_partitions_watches_their_subjects_only(watched: Watched) -> None:
    await watched.say(NODE, INSTANCE)
    async with watched.monitor(partitions=frozenset()) as none, watched.monitor() as every:
        await eventually(lambda: every.watched == 2)
        assert none.watched == 0


async def test_a_slow_monitor_reads_what_there_is_before_it_accuses(watched: Watched) -> None:
    await watched.say(NODE)
    monitor = Monitor(watched.world.log, CODEC, SystemClock())
    _, telemetry = await monitor._open()
    now = asyncio.get_running_loop().time()
    monitor._leases.refill(now - 100)
    await watched.beat()
    events = [Partition("event", number) for number in range(PARTITIONS)]
    before = await watched.world.log.ends(events)
    await monitor._report_changes(telemetry, now)
    assert await watched.world.log.ends(events) == before
    monitor._leases.refill(now - 100)
    await monitor._report_changes(telemetry, now)
    await eventually(lambda: watched.told() == ["missed node:n1"])
    await monitor.close()


def test_every_lease_starts_full_after_a_pause() -> None:
    leases = Leases(300)
    leases.watch(NODE, now=0.0, now_ms=0)
    assert leases.run_out(now=100.0)
    leases.refill(now=100.0)
    assert leases.run_out(now=100.2) == []
    assert leases.run_out(now=100.3)


def test_a_lease_lasts_as_long_as_its_node_says_within_bounds() -> None:
    leases = Leases(300)
    leases.watch(NODE, now=0.0, now_ms=0)
    leases.hear(beat(lease_ms=1_000), now=1.0, time_ms=7)
    assert leases.run_out(now=1.99) == []
    assert [lease.seen_ms for lease in leases.run_out(now=2.0)] == [7]
    leases.hear(beat(lease_ms=-5), now=3.0, time_ms=8)
    assert leases.run_out(now=3.09) == []
    assert leases.run_out(now=3.1)
    leases.hear(beat(lease_ms=2**60), now=4.0, time_ms=9)
    assert leases.run_out(now=603.9) == []
    assert leases.run_out(now=604.0)
