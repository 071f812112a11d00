"""An OpenID provider on this machine: it publishes its keys and makes tokens, good ones and others."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "clawx"


def new_rsa_key() -> rsa.RSAPrivateKey:
    """A key of its own."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(kw_only=True)
class OpenIdProvider:
    """Signs with RSA under `first`, and with a curve under `curve`; `published` is what it shows of them."""

    url: str = ""
    rsa_key: rsa.RSAPrivateKey = field(default_factory=new_rsa_key)
    curve_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    published: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0  # how often for the keys
    is_down: bool = False

    def __post_init__(self) -> None:
        self.publish("first", self.rsa_key)
        curve = json.loads(ECAlgorithm.to_jwk(self.curve_key.public_key()))
        self.published.append(curve | {"kid": "curve", "use": "sig", "alg": "ES256"})

    def publish(self, name: str, key: rsa.RSAPrivateKey) -> None:
        """Show the public half of an RSA key."""
        shown = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        self.published.append(shown | {"kid": name, "use": "sig", "alg": "RS256"})

    def token(self, *words: str, key: Any = None, kid: str = "first", algorithm: str = "RS256", **claims: Any) -> str:
        """A token whose holder is all of that."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300, "clawx": list(words)}
        said = {name: value for name, value in (said | claims).items() if value is not None}
        return jwt.encode(said, key or self.rsa_key, algorithm=algorithm, headers={"kid": kid})

    async def describe(self, request: web.Request) -> web.Response:
        if self.is_down:
            raise web.HTTPServiceUnavailable
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def show_keys(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": self.published})


@asynccontextmanager
async def open_id_provider() -> AsyncIterator[OpenIdProvider]:
    """A provider that listens until left."""
    provider = OpenIdProvider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.describe)
    app.router.add_get("/keys", provider.show_keys)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        provider.url = f"http://{host}:{port}"
        yield provider
    finally:
        await runner.cleanup()
