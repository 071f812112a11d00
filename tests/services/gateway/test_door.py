"""The gateway lets in who has the key, carries records and blobs unchanged, and explains what it refuses."""

import asyncio
import hashlib
from contextlib import aclosing

import pytest

from bus.errors import BlobMissing, BlobTooLarge, Refused, Unavailable, UnknownRecordType
from bus.record import Envelope
from services.gateway import app
from services.gateway.resources import artifacts
from services.gateway.server import open_gateway
from services.http_bus import HttpBus
from services.records import language_codec
from services.records.content import Content
from services.records.permission import ROLES
from services.records.task import RunCancelRequested, RunEnded, RunRequested, SignalRequested
from services.settings import Settings
from tests.services.gateway.conftest import Door

BYTES = bytes(range(256))
ASK = RunRequested(
    workspace_id="w",
    workflow_id="flow",
    definition="sha256:" + "0" * 64,
    actor="somebody else",
    inputs=(Content(name="all", digest=f"sha256:{hashlib.sha256(BYTES).hexdigest()}", size=256, inline=BYTES),),
)


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic KEY", "Bearer"])
async def test_nothing_opens_without_the_key(door: Door, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    for path in ("/api/v1/records", "/api/v1/blobs/x", "/docs", "/", "/api/v1/health/"):
        async with door.http.get(door.url + path, headers=headers) as response:
            assert response.status == 401
            assert response.content_type == "application/problem+json"
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert (await response.json())["status"] == 401


async def test_health_needs_no_key(door: Door) -> None:
    async with door.http.get(door.url + app.HEALTH) as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_what_is_published_in_front_is_read_behind_to_the_byte(door: Door) -> None:
    at = await door.front.publish(ASK, record_id="ask-1")
    found = [e async for e in door.behind.subscribe("task", [RunRequested], live=False)]
    signed = ASK.model_copy(update={"actor": "root", "actor_roles": ROLES})
    assert [(e.record, e.id, e.at, e.key) for e in found] == [(signed, "ask-1", at, "w")]


async def test_what_is_read_in_front_is_what_is_read_behind(door: Door) -> None:
    for workspace in ("w", "v"):
        await door.behind.publish(ASK.model_copy(update={"workspace_id": workspace}))
    in_front = [e async for e in door.front.subscribe("task", [RunRequested], live=False)]
    behind = [e async for e in door.behind.subscribe("task", [RunRequested], live=False)]
    assert sorted(in_front, key=lambda e: e.id) == sorted(behind, key=lambda e: e.id)
    assert len(in_front) == 2


async def test_a_stream_narrows_to_types_and_key_and_stays_live(door: Door) -> None:
    stream = door.front.subscribe("task", [RunCancelRequested], key="w")
    async with aclosing(stream):  # type: ignore[type-var]  # a generator, which the protocol does not promise
        await door.behind.publish(RunCancelRequested(workspace_id="v", run_id="other"))
        await door.behind.publish(SignalRequested(workspace_id="w", run_id="r", signal="go"))
        await door.behind.publish(RunCancelRequested(workspace_id="w", run_id="first"))
        assert await _next_run(stream) == "first"
        await door.behind.publish(RunCancelRequested(workspace_id="w", run_id="second"))
        assert await _next_run(stream) == "second"


async def _next_run(stream: object) -> str:
    envelope: Envelope = await anext(stream)  # type: ignore[call-overload]
    return str(envelope.record.run_id)


async def test_a_stream_is_taken_up_behind_a_position(door: Door) -> None:
    places = [await door.front.publish(RunCancelRequested(workspace_id="w", run_id=name)) for name in "abc"]
    params = {"channel": "task", "live": "false", "types": "RunCancelRequested", "after": str(places[1])}
    headers = {"Authorization": f"Bearer {door.key}"}
    async with door.http.get(f"{door.url}/api/v1/records", params=params, headers=headers) as response:
        assert response.content_type == "application/x-ndjson"
        lines = (await response.text()).splitlines()
    assert [f'"position": "{places[2]}"' in line for line in lines] == [True]


async def test_facts_are_refused_with_the_reason(door: Door) -> None:
    with pytest.raises(Refused, match="only asks and reports"):
        await door.front.publish(RunEnded(workspace_id="w", run_id="r", status="completed"))
    assert [e async for e in door.behind.subscribe("task", [RunEnded], live=False)] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("records/RunRequest", "{}", 404, "did you mean RunRequested?"),
        ("records/RunCancelRequested", '{"workspace_id": "w"}', 422, "run_id: field required"),
        ("records/RunCancelRequested", '{"workspace_id": "w", "run_i": "r"}', 422, "did you mean run_id?"),
        ("records/RunCancelRequested", "{", 422, "invalid JSON"),
        ("records/PostAcknowledged", "{}", 422, "only asks and reports"),
    ],
)
async def test_a_bad_record_is_refused_naming_what_is_wrong(
    door: Door, path: str, body: str, status: int, said: str
) -> None:
    headers = {"Authorization": f"Bearer {door.key}"}
    async with door.http.post(f"{door.url}/api/v1/{path}", data=body, headers=headers) as response:
        found = await response.json()
        assert (response.status, response.content_type) == (status, "application/problem+json")
    assert said.lower() in found["detail"].lower()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"channel": "tusk"}, "no channel 'tusk'"),
        ({"channel": "task", "types": "InstanceReady"}, "no record type 'InstanceReady'"),
        ({"channel": "task", "after": "task/1"}, "positions such as"),
        ({}, "channel"),
    ],
)
async def test_a_bad_question_is_refused_naming_what_is_wrong(door: Door, params: dict[str, str], said: str) -> None:
    headers = {"Authorization": f"Bearer {door.key}"}
    async with door.http.get(f"{door.url}/api/v1/records", params=params, headers=headers) as response:
        assert response.status in (404, 422)
        assert said in (await response.json())["detail"]


async def test_blobs_come_back_to_the_byte(door: Door) -> None:
    digest = await door.front.blobs.put(BYTES)
    assert digest == f"sha256:{hashlib.sha256(BYTES).hexdigest()}"
    assert await door.front.blobs.get(digest) == BYTES
    assert await door.behind.blobs.get(digest) == BYTES


async def test_a_blob_that_is_not_there_and_what_is_no_digest(door: Door) -> None:
    with pytest.raises(BlobMissing):
        await door.front.blobs.get("sha256:" + "1" * 64)
    with pytest.raises(Refused, match="is no digest"):
        await door.front.blobs.get("md5:0")


async def test_a_blob_over_the_limit_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "BLOB_BYTES_MAX", 1000)
    with pytest.raises(BlobTooLarge, match="limit of 1000"):
        await door.front.blobs.put(bytes(1001))
    assert await door.front.blobs.put(bytes(1000))


async def test_a_server_that_is_not_there_is_unavailable_at_once() -> None:
    bus = HttpBus("http://127.0.0.1:9", "key", language_codec().types)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 does not answer"):
        await bus.publish(ASK)
    with pytest.raises(Unavailable, match="does not answer"):
        await anext(aiter(bus.subscribe("task", [RunRequested])))
    await bus.close()


async def test_a_wrong_key_is_told_as_such(door: Door) -> None:
    bus = HttpBus(door.url, "wrong", language_codec().types)
    with pytest.raises(Refused, match="Authorization: Bearer KEY"):
        await bus.publish(ASK)
    await bus.close()


async def test_a_record_type_that_this_program_does_not_know_is_named(door: Door) -> None:
    await door.behind.publish(ASK)
    bus = HttpBus(door.url, door.key, {})
    with pytest.raises(UnknownRecordType, match="'RunRequested' is not known here"):
        await anext(aiter(bus.subscribe("task", [RunRequested], live=False)))
    await bus.close()


async def test_a_live_stream_ends_with_the_gateway_and_goes_on_with_the_next(door: Door) -> None:
    codec, key = language_codec(), "another key"
    ask = RunCancelRequested(workspace_id="w", run_id="first")
    await door.behind.publish(ask)
    async with open_gateway(door.behind, codec, Settings(port=0), key=key) as url:
        bus = HttpBus(url, key, codec.types)
        stream = aiter(bus.subscribe("task", [RunCancelRequested], key="w"))
        assert await _next_run(stream) == "first"
        port = int(url.rpartition(":")[2])
    reading = asyncio.ensure_future(_next_run(stream))
    async with open_gateway(door.behind, codec, Settings(port=port), key=key):
        await door.behind.publish(ask.model_copy(update={"run_id": "second"}))
        assert await reading == "second"
        await stream.aclose()  # type: ignore[attr-defined]  # a generator, which the protocol does not promise
    await bus.close()


async def test_a_port_that_is_taken_is_named(door: Door) -> None:
    port = int(door.url.rpartition(":")[2])
    with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}"):
        async with open_gateway(door.behind, language_codec(), Settings(port=port), key="k"):
            pass
