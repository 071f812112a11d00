"""A token of the provider opens what it says, for as long as it says; any other opens nothing."""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bus.errors import Refused
from services.gateway import oidc
from services.gateway.caller import EVERYWHERE
from services.gateway.oidc import Provider, caller_of_claims
from services.gateway.server import open_gateway
from services.records.task import RunRequested
from services.settings import Settings
from tests.services.gateway.provider import AUDIENCE, OpenIdProvider, new_rsa_key, open_id_provider
from tests.services.gateway.served import WAITING, Served, served


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with open_id_provider() as found:
        yield found


@pytest.fixture
async def api(tmp_path: Path, provider: OpenIdProvider) -> AsyncIterator[Served]:
    """A gateway that takes the tokens of the provider."""
    async with served(tmp_path, node=False) as plain:
        system = plain.system
        settings = replace(system.settings, port=0, oidc_issuer=provider.url, oidc_audience=AUDIENCE)
        async with open_gateway(system.bus, system.codec, settings, key=plain.key) as url:
            yield replace(plain, url=url)


async def test_a_token_opens_what_its_holder_may(api: Served, provider: OpenIdProvider) -> None:
    token = provider.token("w/operator", "role:lead", "nonsense", "v/emperor")
    assert (await api.call("POST", "/runs", {"workflow": WAITING, "workspace_id": "w"}, key=token)).status == 201
    assert (await api.call("POST", "/runs", {"workflow": WAITING, "workspace_id": "v"}, key=token)).status == 403
    assert (await api.call("GET", "/keys", key=token)).status == 403
    [ask] = [e.record async for e in api.system.bus.subscribe("task", [RunRequested], live=False)]
    assert isinstance(ask, RunRequested)
    assert (ask.actor, ask.actor_roles) == ("alice", ("viewer", "operator"))
    curved = provider.token("admin", key=provider.curve_key, kid="curve", algorithm="ES256")
    assert (await api.call("GET", "/keys", key=curved)).status == 200
    assert provider.asked == 1
    assert (await api.call("GET", "/keys")).status == 200  # our own keys go on


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


async def test_a_token_that_is_not_good_opens_nothing(api: Served, provider: OpenIdProvider) -> None:
    now = int(time.time())
    public = provider.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, signature = provider.token("admin").split(".")
    unsigned, secret = encoded(b'{"alg":"none","kid":"first"}'), encoded(b'{"alg":"HS256","kid":"first"}')
    signed = encoded(hmac.digest(public, f"{secret}.{body}".encode(), "sha256"))
    bad = {
        "for somebody else": provider.token("admin", aud="other"),
        "of another issuer": provider.token("admin", iss="http://127.0.0.1:1"),
        "over": provider.token("admin", exp=now - 60, iat=now - 600),
        "without an end": provider.token("admin", exp=None),
        "of nobody": provider.token("admin", sub=None),
        "not yet": provider.token("admin", nbf=now + 600),
        "signed by a stranger": provider.token("admin", key=new_rsa_key()),
        "signed with the public half as a secret": f"{secret}.{body}.{signed}",
        "signed with a key of another kind": provider.token("admin", kid="curve"),
        "not signed": f"{unsigned}.{body}.",
        "changed": f"{head}.{body[:-2]}AA.{signature}",
        "no token": "a.b.c",
    }
    found = {name: (await api.call("GET", "/runs", key=token)).status for name, token in bad.items()}
    assert found == dict.fromkeys(bad, 401)
    assert (await api.call("GET", "/runs", key=provider.token())).status == 403  # good, and no role anywhere


async def test_new_keys_of_the_provider_are_fetched_but_not_all_the_time(
    api: Served, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await api.call("GET", "/runs", key=provider.token("viewer"))).status == 200
    second = new_rsa_key()
    rolled = provider.token("viewer", key=second, kid="second")
    provider.publish("second", second)
    assert (await api.call("GET", "/runs", key=rolled)).status == 401
    assert provider.asked == 1
    monkeypatch.setattr(oidc, "FETCH_AGAIN_S", 0.0)
    assert (await api.call("GET", "/runs", key=rolled)).status == 200
    assert provider.asked == 2


async def test_a_provider_that_is_away_is_said_so_and_asked_again(api: Served, provider: OpenIdProvider) -> None:
    provider.is_down = True
    away = await api.call("GET", "/runs", key=provider.token("viewer"))
    assert (away.status, away.body["detail"]) == (503, f"the keys of {provider.url} cannot be had")
    assert (await api.call("GET", "/runs")).status == 200
    provider.is_down = False
    assert (await api.call("GET", "/runs", key=provider.token("viewer"))).status == 200


async def test_a_stream_ends_with_its_token(
    api: Served, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": f"Bearer {provider.token('viewer', exp=int(time.time()) + 6)}"}
    url = f"{api.url}/api/v1/streams/records?channel=task"
    async with asyncio.timeout(120), api.http.get(url, headers=headers) as response:
        assert "the key has expired" in await response.text()


def test_the_settings_of_a_provider_let_in_nobody_by_mistake() -> None:
    assert Provider.of(Settings()) is None
    with pytest.raises(Refused, match="https://"):
        Provider.of(Settings(oidc_issuer="http://id.example", oidc_audience="a"))
    with pytest.raises(Refused, match="CLAWX_OIDC_AUDIENCE"):
        Provider.of(Settings(oidc_issuer="https://id.example"))


def test_claims_say_roles_and_titles_as_a_list_or_as_words() -> None:
    for words in ("viewer w/admin role:lead profession:qa_engineer /admin", ["viewer", "w/admin", "role:lead", 7]):
        caller = caller_of_claims({"sub": "s", "exp": 1, "c": words}, "c")
        assert caller.roles == {EVERYWHERE: {"viewer"}, "w": {"admin"}}
        assert "role:lead" in caller.titles
    assert not caller_of_claims({"sub": "s", "exp": 1}, "c").roles
