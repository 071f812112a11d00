"""The gateway as a part of a process: it listens until it is closed, and leaves signals to others."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from bus.channel import CHANNELS
from bus.client import LogBus
from bus.codec import Codec
from bus.errors import Refused
from services.gateway.app import OPEN_PATHS, make_app
from services.gateway.blobs import KnownBlobs
from services.gateway.desk import Desk
from services.gateway.gateway import Gateway
from services.gateway.guard import Door, names_of
from services.gateway.limits import Limits
from services.gateway.oidc import Provider, Tokens
from services.gateway.subscription import Streams
from services.gateway.views.reading import Reading, open_reading
from services.settings import Settings

DRAIN_S_MAX = 3
"""How long calls under way have to end when the gateway closes."""

OTHER_FILES = 1024
"""How many files the rest of the process may have open."""

SAID_BYTES_MAX = 4096
"""Longest word of a client over a WebSocket; nothing that it says is of interest."""


@asynccontextmanager
async def open_gateway(
    bus: LogBus, codec: Codec, settings: Settings, *, key: str, limits: Limits | None = None
) -> AsyncIterator[str]:
    """Listen and give the URL; port 0 takes any that is free. Raises Refused when the address cannot be had."""
    limits = limits or Limits()
    provider = Provider.of(settings)
    tokens = Tokens(provider) if provider else None
    _allow_files(limits.sockets_max + OTHER_FILES)
    listening = _listen(settings.host, settings.port)
    closing = asyncio.Event()
    async with open_reading(bus.log, codec) as reading:
        streams = Streams(bus.log, codec, reading, CHANNELS)
        gateway = Gateway(
            bus=bus,
            blobs=KnownBlobs(bus.blobs),
            codec=codec,
            reading=reading,
            desk=Desk(bus, reading),
            streams=streams,
            closing=closing,
        )
        door = _door(settings, listening.getsockname()[1], key, reading, limits, tokens)
        config = uvicorn.Config(
            make_app(gateway, door),
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=SAID_BYTES_MAX,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=DRAIN_S_MAX,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]), name="gateway")
        try:
            await server.listens.wait()
            yield _url(listening)
        finally:
            closing.set()
            await streams.close()
            server.should_exit = True
            await serving
            listening.close()


def _allow_files(count: int) -> None:
    """Let this process have so many files and sockets open, where the system lets it; it takes fewer otherwise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


def _door(settings: Settings, port: int, key: str, reading: Reading, limits: Limits, tokens: Tokens | None) -> Door:
    hosts = names_of(settings.host, port, settings.hosts.split(","))
    own = {f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts}
    given = {each.strip().lower() for each in settings.origins.split(",") if each.strip()}
    return Door(
        key=key,
        keys=reading.keys,
        tokens=tokens,
        hosts=hosts,
        origins=frozenset(own | given),
        open_paths=OPEN_PATHS,
        limits=limits,
    )


class _Server(uvicorn.Server):
    """Says when it listens, and takes no signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[Any]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise Refused(f"the gateway cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
