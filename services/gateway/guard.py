"""Lets in who has a key, calls the door by its name and stays within the limits; all else ends here."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.errors import Unavailable
from services.gateway.caller import ROOT, Caller
from services.gateway.limits import Limits, Rates, Sockets
from services.gateway.oidc import Tokens
from services.gateway.views.keys import KeyView
from services.wire import problem

SUBPROTOCOL = "clawx"
"""What a WebSocket of a web page speaks; it gives the key as a second subprotocol, `bearer.KEY`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Who and what is let in. Made once the address is known."""

    key: str  # of the data directory; its holder is admin of everything
    keys: KeyView
    tokens: Tokens | None = None  # of an OpenID provider
    hosts: frozenset[str]
    origins: frozenset[str]
    open_paths: frozenset[str]
    limits: Limits = field(default_factory=Limits)


class _Refused(Exception):
    """The status and the reason."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Guard:
    """ASGI middleware. Every path but the open ones wants `Authorization: Bearer KEY`."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door, self._limits = app, door, door.limits
        self._rates = Rates(door.limits.requests_per_s_max, door.limits.requests_burst_max)
        self._sockets = Sockets(door.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._admit(scope)
        except _Refused as refused:
            await _refuse(scope, receive, send, refused)
            return
        try:
            await self._app(scope, self._measured(scope, receive), self._timed(send))
        finally:
            self._sockets.leave(caller.key_id if caller else "")

    async def _admit(self, scope: Scope) -> Caller | None:
        """Everything that can be refused by the head of the call alone, the cheapest first."""
        headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
        self._check_place(headers)
        self._check_size(headers)
        address = str((scope.get("client") or ("",))[0])
        if not self._rates.take(f"address {address}"):
            raise _Refused(429, "too many calls from this address")
        caller = None
        if scope["path"] not in self._door.open_paths:
            caller = await self._find(scope, headers)
            scope.setdefault("state", {})["caller"] = caller
            if caller.key_id and not self._rates.take(f"key {caller.key_id}"):
                raise _Refused(429, "too many calls with this key")
        if not self._sockets.enter(caller.key_id if caller else ""):
            raise _Refused(429, "too many calls and streams are open")
        return caller

    def _check_place(self, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self._door.hosts:
            raise _Refused(421, f"nothing is served here under the name {host[:200]!r}; CLAWX_HOSTS lists the names")
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin not in self._door.origins:
            raise _Refused(403, f"pages of {origin[:200]} may not call this; CLAWX_ORIGINS lists those that may")

    def _check_size(self, headers: dict[bytes, bytes]) -> None:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 15 or int(length) > self._limits.body_bytes_max:
            raise _Refused(413, f"the body is over the limit of {self._limits.body_bytes_max} bytes")

    async def _find(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        key = _given_key(scope, headers)
        if key and hmac.compare_digest(key.encode(), self._door.key.encode()):
            return ROOT
        caller = self._door.keys.find(key, time.time_ns() // 1_000_000) if key else None
        if caller is None and key and self._door.tokens:
            try:
                caller = await self._door.tokens.find(key)
            except Unavailable as error:
                raise _Refused(503, str(error)) from error
        if caller is None:
            raise _Refused(401, "this needs the header `Authorization: Bearer KEY`")
        return caller

    def _measured(self, scope: Scope, receive: Receive) -> Receive:
        """A body without a length is given up as soon as it is over the limit."""
        if scope["type"] != "http":
            return receive
        taken = 0

        async def measured() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limits.body_bytes_max:
                return {"type": "http.disconnect"}
            return message

        return measured

    def _timed(self, send: Send) -> Send:
        async def timed(message: Message) -> None:
            async with asyncio.timeout(self._limits.send_s_max):
                await send(message)

        return timed


def _given_key(scope: Scope, headers: dict[bytes, bytes]) -> str:
    """From the header; from the subprotocols where a web page cannot set that. Never from the URL."""
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    offered = scope.get("subprotocols") or () if scope["type"] == "websocket" else ()
    return next((each.removeprefix("bearer.") for each in offered if each.startswith("bearer.")), "")


async def _refuse(scope: Scope, receive: Receive, send: Send, refused: _Refused) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refused.detail[:100]})
        return
    body = json.dumps(problem(refused.status, refused.detail)).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] * (refused.status == 401)
    headers += [(b"retry-after", b"1")] * (refused.status == 429)
    headers += [(b"connection", b"close")] * (refused.status == 413)
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def names_of(host: str, port: int, more: Collection[str]) -> frozenset[str]:
    """The values of `Host` under which a gateway at this address is called."""
    names = {host, "127.0.0.1", "localhost", "::1"}
    written = {f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names}
    return frozenset(each.strip().lower() for each in (*written, *more) if each.strip())
