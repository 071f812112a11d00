"""Router and orchestrator die by SIGKILL while messages wait and a schedule ticks: each message ends, each time due has
one fate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bus.blobs import digest_of
from bus.client import Bus
from services.client import connect
from services.definitions.workflow import read_workflow
from services.records.content import Content
from services.records.message import MessageContext, TaskMessageRequested
from services.records.schedule import ScheduleChangeRequested, ScheduleCreateRequested, Start, Timetable
from tests.brokers.loopback import free_ports
from tests.system.fleet import Fleet, telling
from tests.system.raw_log import RawLog, Schema, following

TICK_MS = 1_000
FLOW = b"id: tick\nstages:\n  - {id: stop, kind: end, end: {status: completed}}\n"
DEAD = ("router", "orchestrator")

Turn = Callable[[], Awaitable[None]]


@pytest.fixture
def halves(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    """The two services that this is about, on Kafka."""
    system = Fleet(bus=f"kafka://{kafka}", namespace=namespace, home=tmp_path)
    with telling(system):
        yield system
    system.close()


async def test_services_that_die_on_kafka(halves: Fleet, schemas: Mapping[str, Schema]) -> None:
    async def start() -> None:
        for service in DEAD:
            halves.start(service)
        for service in DEAD:
            await halves.decides(service)

    async def kill() -> None:
        for service in DEAD:
            halves.kill(service)

    await start()
    async with following(halves.bus, halves.namespace, schemas) as raw:
        await talk_and_tick(halves, raw, kill, start)


async def test_the_whole_system_dies_on_the_embedded_log(embedded: Fleet, schemas: Mapping[str, Schema]) -> None:
    port = free_ports(1)[0]

    async def start() -> None:
        embedded.up(port)
        await embedded.decides("up")

    async def kill() -> None:
        embedded.kill("up")

    await start()
    async with following(embedded.settings.bus_url, embedded.namespace, schemas) as raw:
        await talk_and_tick(embedded, raw, kill, start)


async def talk_and_tick(system: Fleet, raw: RawLog, kill: Turn, start: Turn) -> None:
    """Begin, kill, begin again, and look what became of it."""
    async with connect(system.door, settings=system.settings) as bus:
        definition = await bus.blobs.put(read_workflow(FLOW, "tick").workflow.to_json())
        table = Timetable(every_ms=TICK_MS, overlap="queue", catch_up="all", catch_up_max=100)
        schedule = {"workspace_id": "w", "schedule_id": "tick"}
        ticking = ScheduleCreateRequested(
            **schedule, timetable=table, start=Start(workflow_id="tick", definition=definition)
        )
        await bus.publish(ticking, record_id="ticking")
        await send(bus, "first")
        await raw.find("MessageSent", ask_id="first")
        await raw.find("ScheduledRunRequested", after=1)
    await kill()
    await start()
    async with connect(system.door, settings=system.settings) as bus:
        await send(bus, "first")  # a client that heard nothing repeats itself
        await send(bus, "second")
        await raw.find("MessageSent", ask_id="second", round=2)
        for name in ("first", "second"):
            await raw.find("MessageExpired", message_id=name)
        await bus.publish(ScheduleChangeRequested(**schedule, change="delete"), record_id="delete")
        await raw.find("ScheduleChanged", status="deleted")
        await raw.catch_up()
    check_messages(raw)
    check_ticks(raw)


async def send(bus: Bus, name: str) -> None:
    """To a profession that nobody has, so that it is sent again until its time is over."""
    payload = b'"hello"'
    ask = TaskMessageRequested(
        workspace_id="w",
        target_instance="profession:poet",
        message_type="request",
        payload=Content(name="payload", digest=digest_of(payload), size=len(payload), inline=payload),
        context=MessageContext(),
        expires_in_ms=9_000,
    )
    await bus.publish(ask, record_id=name)


def check_messages(raw: RawLog) -> None:
    """Each has its rounds once and ends once."""
    for name in ("first", "second"):
        rounds = [line["round"] for line in raw.of("MessageSent", ask_id=name)]
        assert rounds == list(range(1, len(rounds) + 1))
        assert len(raw.of("MessageExpired", message_id=name)) == 1


def check_ticks(raw: RawLog) -> None:
    """Each second since the making was started once, also those in which everybody was dead, and its run once."""
    due = [line["due_ms"] for line in raw.of("ScheduledRunRequested")]
    assert not raw.of("ScheduledRunSkipped")
    assert due == list(range(due[0], due[-1] + 1, TICK_MS))
    runs = [line["run_id"] for line in raw.of("ScheduledRunRequested")]
    assert len(set(runs)) == len(runs) >= 4
    started = [line["run_id"] for line in raw.of("RunStarted")]
    assert sorted(started) == sorted(runs)
