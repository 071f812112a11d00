"""Streams bring what counts, in order, from where the last one broke, to whom it concerns; the slow are let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from services.gateway import hub
from services.records.task import RunCancelRequested, SignalRequested
from tests.services.gateway.conftest import Door

CANCELS = "channel=task&types=RunCancelRequested"


def ask(run_id: str, workspace: str = "w") -> RunCancelRequested:
    return RunCancelRequested(workspace_id=workspace, run_id=run_id)


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, Any]]:
    """Name, id and data of each event."""
    found: dict[str, str] = {}
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            found[name] = value
        elif "data" in found:
            yield found["event"], found.get("id", ""), json.loads(found["data"])
            found = {}


@asynccontextmanager
async def streaming(door: Door, query: str, **headers: str) -> AsyncIterator[Any]:
    sent = {"Authorization": f"Bearer {door.key}"} | {name.replace("_", "-"): v for name, v in headers.items()}
    async with door.http.get(f"{door.url}/api/v1/streams/records?{query}", headers=sent) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        async with aclosing(events(response)) as found:
            assert (await anext(found))[0] == "start"
            yield found


async def test_events_come_live_narrowed_to_types_and_key(door: Door) -> None:
    await door.behind.publish(ask("before"))
    async with streaming(door, f"{CANCELS}&key=w") as found:
        await door.behind.publish(ask("other", "v"))
        await door.behind.publish(SignalRequested(workspace_id="w", run_id="r", signal="go"))
        await door.behind.publish(ask("mine"))
        name, _, data = await anext(found)
        assert (name, data["record"]["run_id"]) == ("RunCancelRequested", "mine")


async def test_a_stream_begins_at_the_start_when_asked_to(door: Door) -> None:
    for run_id in "abc":
        await door.behind.publish(ask(run_id))
    async with streaming(door, f"{CANCELS}&since=start") as found:
        assert [(await anext(found))[2]["record"]["run_id"] for _ in "abc"] == ["a", "b", "c"]


async def test_a_broken_stream_misses_nothing_and_repeats_nothing(door: Door) -> None:
    """Over all partitions, also of one where nothing had stood when it broke."""
    names = [f"run-{number}" for number in range(40)]
    async with streaming(door, CANCELS) as found:
        for name in names[:20]:
            await door.behind.publish(ask(name, f"workspace-{name}"))
        first = [await anext(found) for _ in range(11)]
    for name in names[20:]:
        await door.behind.publish(ask(name, f"workspace-{name}"))
    async with streaming(door, CANCELS, Last_Event_ID=first[-1][1]) as found:
        rest = [await anext(found) for _ in range(29)]
        await door.behind.publish(ask("last"))
        assert (await anext(found))[2]["record"]["run_id"] == "last"
    assert sorted(data["record"]["run_id"] for _, _, data in (*first, *rest)) == sorted(names)


async def test_who_is_too_slow_is_let_go_with_the_reason(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "QUEUE_MAX", 3)
    async with streaming(door, CANCELS) as found:
        await door.behind.publish(ask("first"))
        await anext(found)
        await asyncio.gather(*(door.behind.publish(ask(f"{number}")) for number in range(50)))
        names = [each async for each in found]
    assert names[-1][0] == "end"
    assert "too slow" in names[-1][2]["detail"]


async def test_a_position_that_is_none_is_refused(door: Door) -> None:
    headers = {"Authorization": f"Bearer {door.key}"}
    for query in ("channel=task&after=task/0/7", "channel=task&after=event/0/-1", "channel=none", "channel="):
        async with door.http.get(f"{door.url}/api/v1/streams/records?{query}", headers=headers) as response:
            assert (response.status, response.content_type) == (422, "application/problem+json")


async def test_a_websocket_brings_the_same_and_goes_on_from_its_ids(door: Door) -> None:
    url, headers = f"{door.url}/api/v1/streams/ws?{CANCELS}", {"Authorization": f"Bearer {door.key}"}
    async with door.http.ws_connect(url, headers=headers) as socket:
        assert (await socket.receive_json())["record"] is None
        await door.behind.publish(ask("first"))
        heard = await socket.receive_json()
        assert heard["record"]["record"]["run_id"] == "first"
    await door.behind.publish(ask("second"))
    async with door.http.ws_connect(f"{url}&after={heard['id']}", headers=headers) as socket:
        assert (await socket.receive_json())["record"] is None
        assert (await socket.receive_json())["record"]["record"]["run_id"] == "second"


async def test_a_web_page_gives_its_key_as_a_subprotocol(door: Door) -> None:
    url = f"{door.url}/api/v1/streams/ws?{CANCELS}"
    async with door.http.ws_connect(url, protocols=("clawx", f"bearer.{door.key}")) as socket:
        assert socket.protocol == "clawx"
        assert (await socket.receive_json())["record"] is None
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await door.http.ws_connect(url, protocols=("clawx", "bearer.wrong"))
