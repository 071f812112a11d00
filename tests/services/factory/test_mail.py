"""A node hands messages to workers, while they work or at their next task, and sends what they write."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.blobs import digest_of
from bus.clock import SystemClock
from services.records.content import Content
from services.records.instance import InstanceStarting
from services.records.message import (
    PAYLOAD_INLINE_BYTES_MAX,
    DataMessageRequested,
    Delivery,
    EventMessageRequested,
    Message,
    MessageContext,
    MessageReceived,
    MessageSent,
    TaskMessageRequested,
)
from services.records.task import TaskCompleted, TaskFailed
from services.records.telemetry import WorkerOutput
from tests.eventually import eventually
from tests.services.factory.world import HEARD, WORKSPACE, World, python

ASKED = (TaskMessageRequested, EventMessageRequested, DataMessageRequested)
TAIL = """
import json, sys, time
task = json.load(sys.stdin)
def letters():
    return [json.loads(line) for line in open(task["messages"]["path"])]
while len(letters()) < {count}:
    time.sleep(0.01)
for letter in letters():
    if letter["context"]["requires_ack"]:
        print(json.dumps({{"ack": letter["message_id"]}}), flush=True)
got = [letter["payload"] for letter in letters()]
print(json.dumps({{"ok": True, "result": {{"got": got}}, "outputs": {{"out": {{"text": ""}}}}}}))
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    heard = {channel: (*kinds, *(k for k in ASKED if k.channel == channel)) for channel, kinds in HEARD.items()}
    heard["data"] = (DataMessageRequested,)
    async with World.open(tmp_path, **heard) as world, world.node():
        yield world


async def send(
    world: World, order: InstanceStarting, message_id: str, payload: object = "hi", **fields: Any
) -> MessageSent:
    now_ms, data = SystemClock().now_ms(), json.dumps(payload).encode()
    if len(data) > PAYLOAD_INLINE_BYTES_MAX:
        await world.blobs.put(data)
    context = MessageContext(requires_ack=fields.pop("requires_ack", False), priority=fields.pop("priority", 0))
    message = Message(
        message_id=message_id,
        source_instance="bob",
        target_instance=fields.pop("target", f"instance:{order.instance_id}"),
        message_type="request",
        payload=Content(
            name="payload",
            digest=digest_of(data),
            size=len(data),
            inline=data if len(data) <= PAYLOAD_INLINE_BYTES_MAX else None,
        ),
        context=context,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + fields.pop("expires_in_ms", 60_000),
    )
    incarnation = fields.pop("incarnation", order.incarnation)
    delivery = Delivery(
        instance_id=order.instance_id,
        node_id=order.node_id,
        node_session=order.node_session,
        incarnation=incarnation,
    )
    sent = MessageSent(workspace_id=WORKSPACE, ask_id=message_id, message=message, deliveries=(delivery,), **fields)
    await world.owners.say(sent)
    return sent


def expecting(count: int, **more: object) -> dict[str, Any]:
    return {"script": [{"expect": {"count": count, "within": "20s", **more}}]}


def got(ended: TaskCompleted | TaskFailed) -> list[Any]:
    assert isinstance(ended, TaskCompleted), ended
    return [each["payload"] for each in json.loads(ended.result)["messages"]]


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_a_message_reaches_a_script_while_it_works(world: World, driver: str) -> None:
    order = await world.start(driver=driver)
    assigned = await world.assign(order, parameters=expecting(2))
    await send(world, order, "m1", {"n": 1})
    await send(world, order, "m2", {"n": 2}, requires_ack=True)
    assert got(await world.end_of(assigned)) == [{"n": 1}, {"n": 2}]
    received = await eventually(lambda: len(world.all(MessageReceived)) == 2 and world.all(MessageReceived))
    assert [(each.message_id, each.instance_id, each.attempt_id) for each in received] == [
        ("m1", "i1", assigned.attempt_id),
        ("m2", "i1", assigned.attempt_id),
    ]


@pytest.mark.parametrize("driver", ["inline", "process"])
async def test_what_came_before_the_task_is_handed_over_with_it_the_urgent_first(world: World, driver: str) -> None:
    order = await world.start(driver=driver)
    await send(world, order, "late", "late", expires_in_ms=1)
    await send(world, order, "old", "old", incarnation=7)
    await send(world, order, "low", "low")
    await send(world, order, "high", "high", priority=5)
    await send(world, order, "low", "low", round=2)
    assigned = await world.assign(order, parameters=expecting(2))
    ended = got(await world.end_of(assigned))
    assert sorted(ended) == ["high", "low"]
    following = await world.assign(order, parameters=expecting(1, within="300ms"))
    assert isinstance(await world.end_of(following), TaskFailed), "what was received is not handed over again"


async def test_what_an_attempt_left_is_there_for_the_next(world: World) -> None:
    order = await world.start(driver="process")
    first = await world.assign(order, parameters={"script": [{"delay": "300ms"}]})
    await send(world, order, "m1")
    assert isinstance(await world.end_of(first), TaskCompleted)
    assert not world.all(MessageReceived)
    assert got(await world.end_of(await world.assign(order, parameters=expecting(1)))) == ["hi"]


async def test_a_message_for_a_profession_of_a_run_waits_for_a_task_of_it(world: World) -> None:
    order = await world.start(driver="inline")
    await send(world, order, "m1", run_id="r2", target="profession:qa_engineer")
    other = await world.assign(order, parameters=expecting(1, within="300ms"))
    assert isinstance(await world.end_of(other), TaskFailed)
    assert got(await world.end_of(await world.assign(order, run_id="r2", parameters=expecting(1)))) == ["hi"]


async def test_a_program_finds_messages_in_a_file_and_prints_its_own(world: World) -> None:
    order = await world.start(driver="process", agent="command")
    large = "x" * (PAYLOAD_INLINE_BYTES_MAX + 1)
    await send(world, order, "m1", {"n": 1}, requires_ack=True)
    await send(world, order, "m2", large)
    assigned = await world.assign(order, agent="command", parameters=python(TAIL.format(count=2)))
    ended = await world.end_of(assigned, 20)
    assert isinstance(ended, TaskCompleted), ended
    small, big = sorted(json.loads(ended.result)["got"], key=lambda each: "path" in each)
    assert small == {"n": 1}
    assert (big["size"], big["sha256"]) == (
        len(large) + 2,
        digest_of(json.dumps(large).encode()).removeprefix("sha256:"),
    )
    await eventually(lambda: {each.message_id for each in world.all(MessageReceived)} == {"m1", "m2"})
    assert not [each for each in ended.outputs if each.name.endswith(".stdout")], "a message is no leftover"


async def test_what_a_worker_writes_becomes_an_ask_on_the_channel_of_its_type(world: World) -> None:
    order = await world.start(driver="process", agent="command")
    program = """
import json
def say(**message):
    print(json.dumps({"message": message}), flush=True)
say(to="team:red", type="share", payload={"n": 1}, priority=2, requires_ack=True, expires_in="10m")
say(to="all", payload="y" * 40000)
say(to="bob", type="gossip")
say(payload=1)
print(json.dumps({"ok": True, "outputs": {"out": {"text": ""}}}))
"""
    assigned = await world.assign(order, agent="command", parameters=python(program))
    shared = await world.first(DataMessageRequested)
    assert (shared.source_instance, shared.node_session, shared.incarnation) == ("i1", order.node_session, 1)
    assert (shared.target_instance, shared.message_type, shared.expires_in_ms) == ("team:red", "share", 600_000)
    assert (shared.run_id, shared.attempt_id, shared.payload.inline) == ("r1", assigned.attempt_id, b'{"n":1}')
    context = shared.context
    assert (context.stage_id, context.task_id, context.workflow_id) == ("s1", assigned.task_id, "r1")
    assert (context.priority, context.requires_ack) == (2, True)
    large = await world.first(EventMessageRequested)
    assert large.payload.inline is None
    assert await world.blobs.get(large.payload.digest) == json.dumps("y" * 40000).encode()
    lines = await eventually(lambda: len(world.all(WorkerOutput)) >= 2 and world.all(WorkerOutput))
    kind, address = sorted((each.line for each in lines), reverse=True)
    assert address == 'message refused: a message needs "to", or "reply_to" with the id of one that came'
    assert kind.startswith("message refused: there is no message type 'gossip': write one of assign, result, request")
