"""A node takes part under one session at a time, and obeys only what names it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.channel import Partition, partition_number
from bus.log import Raw
from bus.record import Origin
from services.factory.lock import DirectoryLocked
from services.factory.node_session import NodeUnwanted
from services.records.instance import InstanceEnded, InstanceStopping
from services.records.node import NodeAccepted, NodeJoined, NodeLeft, NodeLost, NodeRefused, WorkerGone, WorkerStarted
from services.records.task import AttemptCancelled, TaskAssigned, TaskCompleted, TaskFailed
from tests.eventually import eventually
from tests.services.factory.process_table import find_processes
from tests.services.factory.world import PARTITIONS, ROOMY, WORKSPACE, World, encode


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.open(tmp_path) as world:
        yield world
    assert find_processes(tmp_path) == []


async def test_a_second_node_in_one_directory_is_refused_with_one_sentence(world: World) -> None:
    async with world.node():
        second = world.make_node()
        with pytest.raises(DirectoryLocked, match=r"another node \(process \d+\) works in .*node-n1; stop it or give"):
            await second.run()
        await second.close()
    async with world.node() as node:
        assert node.is_accepted


async def test_an_orderly_end_stops_workers_and_leaves_the_pool(world: World) -> None:
    async with world.node() as node:
        order = await world.start()
        assigned = await world.assign(order, parameters={"script": [{"delay": "10m"}]})
        await eventually(lambda: len(list(world.directory.glob("node-n1/instances/*"))) == 1)
        session = node.session
    end = await world.end_of(assigned)
    assert isinstance(end, TaskFailed)
    assert (end.code, end.reason) == ("worker_lost", "its node is stopping")
    await world.first(WorkerGone, instance_id="i1")
    left = await world.first(NodeLeft, node_session=session)
    assert left.pool == "default"


async def test_a_refused_node_stops_with_the_reason(world: World) -> None:
    node = world.make_node()
    running = asyncio.create_task(node.run())
    joined = await world.first(NodeJoined)
    await world.owners.say(
        NodeRefused(pool="default", node_id="n1", node_session=joined.node_session, reason="no slots")
    )
    with pytest.raises(NodeUnwanted, match="the pool default refuses node n1: no slots"):
        await running
    await node.close()
    assert world.all(NodeLeft) == []


async def test_a_lost_node_kills_its_workers_and_joins_anew(world: World) -> None:
    async with world.node() as node:
        order = await world.start()
        assigned = await world.assign(order, parameters={"script": [{"delay": "10m"}]})
        await world.owners.say(
            NodeLost(pool="default", node_id="n1", node_session=node.session, reason="silent for too long")
        )
        end = await world.end_of(assigned)
        gone = await world.first(WorkerGone, instance_id="i1")
        assert (end.node_session, gone.node_session) == (order.node_session, order.node_session)
        assert gone.reason == "silent for too long"
        assert find_processes(world.directory / "node-n1" / "instances") == []
        assert await world.accept(node) != order.node_session
        again = await world.start("i2")
        assert isinstance(await world.end_of(await world.assign(again)), TaskCompleted)


async def test_a_node_whose_id_another_process_took_kills_its_workers_and_stops(world: World) -> None:
    node = world.make_node()
    running = asyncio.create_task(node.run())
    await world.accept(node)
    await world.start()
    for fact in (
        NodeLost(pool="default", node_id="n1", node_session=node.session, reason="the node joined anew"),
        NodeAccepted(pool="default", node_id="n1", node_session="another", capacity=ROOMY),
    ):
        await world.owners.say(fact)
    with pytest.raises(NodeUnwanted, match="another process has joined the pool default as node n1"):
        await running
    assert find_processes(world.directory / "node-n1" / "instances") == []
    await world.first(WorkerGone, instance_id="i1")
    await node.close()


async def test_a_late_word_of_an_earlier_session_of_its_own_makes_it_join_anew(world: World) -> None:
    async with world.node() as node:
        first = node.session
        await world.owners.say(NodeLost(pool="default", node_id="n1", node_session=first, reason="lost"))
        second = await world.accept(node)
        await world.owners.say(NodeAccepted(pool="default", node_id="n1", node_session=first, capacity=ROOMY))
        third = await world.accept(node)
    assert len({first, second, third}) == 3


async def test_words_for_other_nodes_sessions_and_pools_are_not_obeyed(world: World) -> None:
    async with world.node() as node:
        order = await world.start()
        foreign = (
            order.model_copy(update={"instance_id": "x1", "node_id": "n2"}),
            order.model_copy(update={"instance_id": "x2", "node_session": "old"}),
            NodeLost(pool="default", node_id="n2", node_session=node.session, reason="x"),
            NodeLost(pool="default", node_id="n1", node_session="old", reason="x"),
            NodeAccepted(pool="other", node_id="n1", node_session="x", capacity=ROOMY),
            InstanceStopping(workspace_id=WORKSPACE, instance_id="i1", node_id="n1", node_session="old", incarnation=1),
        )
        await world.owners.say(*foreign)
        tasks = [
            world.task(order, attempt_id="b1").model_copy(update={"node_session": "old"}),
            world.task(order, attempt_id="b2").model_copy(update={"node_id": "n2"}),
        ]
        await world.owners.say(*tasks)
        assert isinstance(await world.end_of(await world.assign(order)), TaskCompleted)
        assert node.session == order.node_session
        assert {each.instance_id for each in world.all(WorkerStarted)} == {"i1"}
        assert world.all(TaskFailed) == world.all(WorkerGone) == []
        assert len(world.all(TaskCompleted)) == 1


async def test_words_that_are_no_facts_of_their_owner_are_not_obeyed(world: World) -> None:
    async with world.node():
        order = await world.start()
        task: TaskAssigned = world.task(order, attempt_id="forged")
        partition = Partition("task", partition_number(WORKSPACE, PARTITIONS))
        forged: list[Raw] = [
            encode(task, Origin("ask")),
            encode(task, Origin("post", "router.roster", "s", 1, 0)),
            encode(task, Origin("fact", "router.roster", "zombie", 1, 0)),
        ]
        await world.publisher().append(partition, forged)
        await world.end_of(await world.assign(order, attempt_id="honest"))
        assert [each.attempt_id for each in world.all(TaskCompleted)] == ["honest"]


async def test_an_order_that_is_said_again_changes_nothing(world: World) -> None:
    async with world.node():
        order = await world.start()
        await world.owners.say(order, order)
        end = await world.end_of(await world.assign(order))
        assert isinstance(end, TaskCompleted)
        await world.stop(order)
        await world.stop(order)
        await world.owners.say(world.task(order, attempt_id="late"))
        late = await world.first(TaskFailed, attempt_id="late")
        assert (late.code, late.reason) == ("worker_lost", "instance i1 has no worker here any more")
        assert len(world.all(WorkerStarted)) == 1
        assert len({each.id for each in world.heard if type(each.record) is WorkerGone}) == 1


async def test_a_stop_of_what_is_not_there_is_answered(world: World) -> None:
    async with world.node() as node:
        await world.start("other")
        stopping = InstanceStopping(
            workspace_id=WORKSPACE, instance_id="ghost", node_id="n1", node_session=node.session, incarnation=7
        )
        await world.owners.say(stopping)
        gone = await world.first(WorkerGone, instance_id="ghost")
        assert (gone.incarnation, gone.reason) == (7, "there is no such worker here")


async def test_a_stop_right_behind_the_start_leaves_nothing(world: World) -> None:
    async with world.node() as node:
        order = await world.start("warm")
        order = order.model_copy(update={"instance_id": "brief"})
        stopping = InstanceStopping(
            workspace_id=WORKSPACE, instance_id="brief", node_id="n1", node_session=node.session, incarnation=1
        )
        await world.owners.say(order, stopping)
        await world.first(WorkerGone, instance_id="brief")
        assert len(list(world.directory.glob("node-n1/instances/*"))) == 1
        assert len(find_processes(world.directory / "node-n1" / "instances")) == 1


async def test_a_new_incarnation_takes_the_place_of_the_old_one(world: World) -> None:
    async with world.node():
        old = await world.start("i1")
        new = await world.start("i1", incarnation=2)
        gone = await world.first(WorkerGone, instance_id="i1")
        assert gone.incarnation == 1
        await world.owners.say(world.task(old, attempt_id="stale"))
        assert (await world.first(TaskFailed, attempt_id="stale")).incarnation == 1
        assert isinstance(await world.end_of(await world.assign(new)), TaskCompleted)
        assert len(find_processes(world.directory / "node-n1" / "instances")) == 1


async def test_the_end_of_an_instance_ends_its_worker_whoever_decided_it(world: World) -> None:
    async with world.node():
        await world.start()
        ended = InstanceEnded(workspace_id=WORKSPACE, instance_id="i1", status="lost", reason="given up")
        await world.owners.say(ended, role="factory.instances")
        gone = await world.first(WorkerGone, instance_id="i1")
        assert gone.reason == "the instance ended: given up"


async def test_a_cancel_for_another_node_is_not_for_this_one(world: World) -> None:
    async with world.node():
        order = await world.start(driver="inline")
        assigned = await world.assign(order, parameters={"script": [{"delay": "200ms"}]})
        cancelled = AttemptCancelled(
            workspace_id=WORKSPACE, run_id="r1", task_id="t", attempt_id=assigned.attempt_id, node_id="n2", reason="x"
        )
        await world.owners.say(cancelled)
        assert isinstance(await world.end_of(assigned), TaskCompleted)


async def test_a_node_serves_on_kafka_as_well(kafka: str, namespace: str, tmp_path: Path) -> None:
    async with World.open(tmp_path, f"kafka://{kafka}?namespace={namespace}") as world, world.node() as node:
        first = await world.start("i1", workspace_id="w1", driver="inline")
        second = await world.start("i2", workspace_id="w2")
        for order in (first, second):
            assert isinstance(await world.end_of(await world.assign(order)), TaskCompleted)
        await world.owners.say(NodeLost(pool="default", node_id="n1", node_session=node.session, reason="lost"))
        await world.first(WorkerGone, instance_id="i2")
        await world.accept(node)
        again = await world.start("i3", workspace_id="w1")
        assert isinstance(await world.end_of(await world.assign(again)), TaskCompleted)
