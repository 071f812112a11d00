"""Who holds which key may do what that key says and no more, for as long as it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bus.record import Ask
from services.gateway.limits import Limits
from services.gateway.server import open_gateway
from services.records.access import KeyIssued, KeyRequested
from services.records.task import RunRequested
from tests.services.gateway.served import WAITING, Served, served

ROLES = ("viewer", "operator", "approver", "admin")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, node=False) as found:
        yield found


async def issue(api: Served, workspace: str, *roles: str, **more: Any) -> str:
    """A key with these roles in a workspace."""
    order = {"holder": f"{'-'.join(roles)}", "memberships": [{"workspace_id": workspace, "roles": roles}], **more}
    made = await api.call("POST", "/keys", order)
    assert made.status == 201, made.body
    return str(made.body["key"])


async def test_a_key_is_shown_once_and_only_its_digest_is_kept(api: Served) -> None:
    key = await issue(api, "w", "viewer")
    secret = key.split("_", 2)[2]
    records = [e.record async for e in api.system.bus.subscribe("event", [KeyRequested, KeyIssued], live=False)]
    assert len(records) == 2
    assert not any(secret in str(record) for record in records)
    shown = (await api.call("GET", "/keys")).body["items"]
    assert secret not in str(shown)
    assert "digest" not in str(shown)
    assert (await api.call("GET", "/runs", key=key)).status == 200
    for wrong in (key[:-1], key + "x", f"clawx_{'0' * 24}_{secret}", "clawx__", secret, ""):
        assert (await api.call("GET", "/runs", key=wrong)).status == 401


async def test_a_key_opens_its_workspaces_and_no_others(api: Served) -> None:
    mine = await issue(api, "w", "operator")
    for workspace in ("w", "v"):
        assert (await api.call("POST", "/runs", {"workflow": WAITING, "workspace_id": workspace})).status == 201
    runs = {run["workspace_id"]: run["run_id"] for run in (await api.call("GET", "/runs")).body["items"]}
    assert [run["run_id"] for run in (await api.call("GET", "/runs", key=mine)).body["items"]] == [runs["w"]]
    assert (await api.call("GET", f"/runs/{runs['v']}", key=mine)).status == 404
    assert (await api.call("POST", f"/runs/{runs['v']}/cancel", key=mine)).status == 404
    foreign = await api.call("POST", "/runs", {"workflow": WAITING, "workspace_id": "v"}, key=mine)
    assert (foreign.status, "workspace `v`" in foreign.body["detail"]) == (403, True)
    lines = (await api.call("GET", "/records?channel=task&live=false&types=RunStarted", key=mine)).body
    assert (runs["w"] in str(lines), runs["v"] in str(lines)) == (True, False)


async def test_an_ask_says_who_asks_and_as_what(api: Served) -> None:
    key = await issue(api, "w", "operator")
    await api.call("POST", "/runs", {"workflow": WAITING, "workspace_id": "w"}, key=key)
    [ask] = [e.record async for e in api.system.bus.subscribe("task", [RunRequested], live=False)]
    assert isinstance(ask, Ask)
    assert (ask.actor, ask.actor_roles) == ("operator", ("viewer", "operator"))


async def test_scopes_narrow_a_key(api: Served) -> None:
    key = await issue(api, "*", "admin", scopes=["runs:read"])
    assert (await api.call("GET", "/runs", key=key)).status == 200
    for method, path in (("GET", "/instances"), ("POST", "/runs"), ("GET", "/keys")):
        assert (await api.call(method, path, {"workflow": WAITING}, key=key)).status == 403


async def test_a_revoked_key_opens_nothing_and_what_it_has_open_is_closed(api: Served) -> None:
    key = await issue(api, "w", "viewer")
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{api.url}/api/v1/streams/ws?channel=task"
    async with api.http.ws_connect(url, headers=headers) as socket:
        assert (await socket.receive_json())["record"] is None
        revoked = await api.call("DELETE", f"/keys/{key.split('_')[1]}")
        assert revoked.status == 200
        async with asyncio.timeout(60):
            closed = await socket.receive()
        assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "the key was revoked")
    assert (await api.call("GET", "/runs", key=key)).status == 401
    assert (await api.call("DELETE", f"/keys/{key.split('_')[1]}")).status == 409


async def test_a_key_expires_and_what_it_has_open_is_closed(api: Served) -> None:
    key = await issue(api, "w", "viewer", expires_in_s=4)
    url, headers = f"{api.url}/api/v1/streams/records?channel=task", {"Authorization": f"Bearer {key}"}
    async with asyncio.timeout(60), api.http.get(url, headers=headers) as response:
        text = await response.text()
    assert "the key has expired" in text
    assert (await api.call("GET", "/runs", key=key)).status == 401


async def test_a_key_of_idempotency_never_shows_a_key_again(api: Served) -> None:
    order = {"holder": "a", "memberships": [{"workspace_id": "w", "roles": ["viewer"]}]}
    assert (await api.call("POST", "/keys", order, Idempotency_Key="k")).status == 201
    again = await api.call("POST", "/keys", order, Idempotency_Key="k")
    assert (again.status, "not shown again" in again.body["detail"]) == (409, True)
    assert len((await api.call("GET", "/keys")).body["items"]) == 1


async def test_votes_count_under_the_titles_of_the_key_alone(api: Served) -> None:
    flow = "id: r\nstages:\n  - {id: approve, kind: review, review: {by: ['role:lead'], quorum: 1}}\n"
    started = await api.call("POST", "/runs", {"workflow": flow, "workspace_id": "w"})
    assert started.status == 201
    path = f"/reviews/{await _review(api)}/votes"
    stranger = await issue(api, "w", "approver")
    refused = await api.call("POST", path, {"approve": True, "roles": ["role:lead"]}, key=stranger)
    assert (refused.status, "not held by a role:lead" in refused.body["detail"]) == (403, True)
    lead = await issue(api, "w", "approver", titles=["role:lead"])
    assert (await api.call("POST", path, {"approve": True}, key=lead)).status == 201


async def _review(api: Served) -> str:
    from tests.eventually import eventually

    async def listed() -> list[dict[str, str]]:
        return list((await api.call("GET", "/reviews")).body["items"])

    [review] = await eventually(listed)
    return review["review_id"]


async def test_the_matrix_of_every_operation_and_role(api: Served) -> None:
    """Each role is let in to exactly the operations that the OpenAPI document says."""
    document = (await api.call("GET", "/openapi.json")).body
    operations = [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "x-role" in operation
    ]
    assert len(operations) >= 35
    keys = {role: await issue(api, "*", role) for role in ROLES}
    for method, path, operation in operations:
        for role in ROLES:
            allowed = operation["x-role"] in ("viewer", role) or role == "admin"
            found = await _knock(api, method, path, keys[role])
            assert (found != 403) is allowed, f"{role} {method} {path}: {found}"
            assert found != 401
        assert await _knock(api, method, path, "") == 401
    assert await _knock(api, "GET", "/api/v1/health", "") == 200


async def _knock(api: Served, method: str, path: str, key: str) -> int:
    """The status alone, since some answers never end."""
    url = f"{api.url}{path}".replace("{sha256}", "0" * 64)
    query = "?channel=task&live=false" if path in ("/api/v1/records", "/api/v1/streams/records") else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with api.http.request(method, url.replace("{", "").replace("}", "") + query, headers=headers) as response:
        return response.status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Length": "99999999999"}, 413),
    ],
)
async def test_a_call_that_comes_from_elsewhere_or_is_too_big_ends_at_the_door(
    api: Served, headers: dict[str, str], status: int
) -> None:
    sent = {"Authorization": f"Bearer {api.key}", **headers}
    async with api.http.get(f"{api.url}/api/v1/runs", headers=sent) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"


async def test_the_page_of_the_gateway_itself_may_call(api: Served) -> None:
    assert (await api.call("GET", "/runs", Origin=api.url)).status == 200


async def test_too_many_calls_and_too_many_sockets_are_refused(api: Served) -> None:
    system = api.system
    limits = Limits(requests_per_s_max=0.001, requests_burst_max=3, sockets_max=1)
    settings = replace(system.settings, port=0)
    async with open_gateway(system.bus, system.codec, settings, key=api.key, limits=limits) as url:
        other = replace(api, url=url)
        headers = {"Authorization": f"Bearer {api.key}"}
        async with api.http.get(f"{url}/api/v1/streams/records?channel=task", headers=headers) as response:
            assert response.status == 200
            full = await other.call("GET", "/runs")
            assert (full.status, "open" in full.body["detail"]) == (429, True)
        await other.call("GET", "/runs")
        fast = await other.call("GET", "/runs")
        assert (fast.status, "address" in fast.body["detail"], fast.headers["Retry-After"]) == (429, True, "1")
