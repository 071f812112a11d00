"""A node catches up with a partition before it follows it live, and acts only on what is still open there."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.record import Envelope, Report
from services.factory.background import Background
from services.factory.hearing import CLOSING, LIVE, Hearing
from services.records.content import Resources, Work
from services.records.instance import InstanceEnded, InstanceStarting, InstanceStopping
from services.records.task import AttemptCancelled, TaskAssigned, TaskCompleted, TaskLost, TasksSettled
from services.topology import NODE
from tests.eventually import eventually
from tests.services.factory.world import CODEC, WORKSPACE, Owners, World

ROSTER, INSTANCES = "router.roster", "factory.instances"


def starting(instance_id: str) -> InstanceStarting:
    return InstanceStarting(
        workspace_id=WORKSPACE,
        instance_id=instance_id,
        grant_id="g",
        node_id="n1",
        node_session="s",
        incarnation=1,
        profession="p",
        name="",
        agent="script",
        driver="inline",
        resources=Resources(),
    )


def stopping(instance_id: str) -> InstanceStopping:
    return InstanceStopping(
        workspace_id=WORKSPACE, instance_id=instance_id, node_id="n1", node_session="s", incarnation=1
    )


def assigned(attempt_id: str) -> TaskAssigned:
    return TaskAssigned(
        workspace_id=WORKSPACE,
        task_id="t",
        attempt_id=attempt_id,
        instance_id="i",
        node_id="n1",
        node_session="s",
        incarnation=1,
        deadline_ms=0,
        work=Work(run_id="r", stage="s", execution=1),
    )


def completed(attempt_id: str) -> TaskCompleted:
    return TaskCompleted(
        workspace_id=WORKSPACE,
        run_id="r",
        stage="s",
        task_id="t",
        attempt_id=attempt_id,
        instance_id="i",
        node_id="n1",
        node_session="s",
        incarnation=1,
    )


class Ears:
    """Hearing, and what it handed out."""

    def __init__(self, world: World, places: dict[str, Any] | None = None) -> None:
        self.heard: list[Envelope] = []
        self.background = Background()
        self.hearing = Hearing(
            log=world.log, codec=CODEC, places=places or {}, hear=self.heard.append, background=self.background
        )

    def names(self) -> list[str]:
        return [getattr(each.record, "attempt_id", "") or each.record.instance_id for each in self.heard]

    async def close(self) -> None:
        await self.background.close()
        await self.hearing.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.open(tmp_path) as world:
        yield world


async def say(world: World, *records: Any) -> None:
    for record in records:
        if isinstance(record, Report):
            await world.publisher().publish(record)
        else:
            await world.owners.say(record, role=INSTANCES if record.channel == "event" else ROSTER)


def test_the_map_says_what_a_node_follows() -> None:
    assert {*LIVE["event"], *LIVE["task"], *CLOSING["event"], *CLOSING["task"]} == NODE.follows


async def test_only_what_is_still_open_is_acted_on(world: World) -> None:
    await say(world, starting("ended"), starting("running"), starting("stopped"), stopping("stopped"))
    await say(world, InstanceEnded(workspace_id=WORKSPACE, instance_id="ended", status="lost"))
    await say(world, *(assigned(name) for name in ("done", "settled", "lost", "cancelled", "open")))
    await say(world, completed("done"), TasksSettled(workspace_id=WORKSPACE, attempts=("settled",)))
    await say(
        world,
        TaskLost(workspace_id=WORKSPACE, run_id="r", task_id="t", attempt_id="lost", code="timeout", reason=""),
        AttemptCancelled(workspace_id=WORKSPACE, run_id="r", task_id="t", attempt_id="cancelled", reason=""),
    )
    ears = Ears(world)
    await ears.hearing.live(WORKSPACE)
    assert sorted(ears.names()) == ["open", "running", "stopped"]
    assert [type(each.record) for each in ears.heard if each.record.channel == "event"] == [
        InstanceStarting,
        InstanceStopping,
    ]
    await say(world, assigned("new"), stopping("running"))
    await eventually(lambda: {"new", "running"} <= set(ears.names()[3:]))
    await ears.close()


async def test_a_saved_place_spares_reading_from_the_start(world: World) -> None:
    await say(world, starting("old"))
    first = Ears(world)
    await first.hearing.live(WORKSPACE)
    places = first.hearing.save()
    await first.close()
    await say(world, starting("new"))
    second = Ears(world, places)
    await second.hearing.live(WORKSPACE)
    assert (first.names(), second.names()) == (["old"], ["new"])
    await second.close()


async def test_a_zombie_of_before_the_saved_place_stays_fenced(world: World) -> None:
    zombie = Owners(world.log)
    await zombie.say(starting("by the old owner"))
    await say(world, starting("by the new owner"))
    first = Ears(world)
    await first.hearing.live(WORKSPACE)
    places = first.hearing.save()
    await first.close()
    await zombie.say(starting("by the zombie"))
    second = Ears(world, places)
    await second.hearing.live(WORKSPACE)
    await zombie.say(starting("by the zombie again"))
    await say(world, starting("at last"))
    await eventually(lambda: second.names() == ["at last"])
    await second.close()


async def test_a_place_behind_the_end_of_the_log_is_not_used(world: World) -> None:
    await say(world, starting("only"))
    places = {f"event/{each}": {"offset": 999, "fences": {}} for each in range(2)}
    ears = Ears(world, places)
    await ears.hearing.live(WORKSPACE)
    assert ears.names() == ["only"]
    await ears.close()


async def test_a_partition_is_followed_once_whoever_asks(world: World) -> None:
    ears = Ears(world)
    for _ in range(3):
        await ears.hearing.live(WORKSPACE)
    await ears.hearing.live("another workspace")
    await say(world, starting("one"))
    await eventually(lambda: ears.names() == ["one"])
    await say(world, starting("two"))
    await eventually(lambda: ears.names() == ["one", "two"])
    await ears.close()
