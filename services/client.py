"""The way in for programs: `connect(url)` gives the bus, whatever is behind it, speaking the system's language."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.address import open_log, view_log
from bus.blobs import DirectoryBlobs
from bus.client import Bus, LogBus
from services.namespace import check_namespace
from services.records import language_codec
from services.settings import Settings

KEY_FILE = "key"
"""Name of the file with the gateway's key, in the data directory."""


@asynccontextmanager
async def connect(url: str, *, settings: Settings | None = None, view: bool = False) -> AsyncIterator[Bus]:
    """The bus at `sqlite:///PATH`, `kafka://HOST:PORT` or a gateway's `http://HOST:PORT`; closed on leaving.

        async with connect("kafka://127.0.0.1:9092") as bus:
            await bus.publish(RunCancelRequested(workspace_id="default", run_id=run_id))
            async for envelope in bus.subscribe("task", [RunEnded]):
                ...

    Settings (where blobs and the gateway's key are) come from the environment unless given. With `view` a log is only
    read: it must be there, and another process may own it. Raises what opening the log raises, and NamespaceMismatch
    where it speaks another language; a gateway is first spoken to when it is used.
    """
    settings = settings or Settings.read(os.environ)
    if url.startswith(("http://", "https://")):
        from services.http_bus import HttpBus

        http: Bus = HttpBus(url, read_key(settings), language_codec().types)
        try:
            yield http
        finally:
            await http.close()
        return
    codec = language_codec()
    opened = view_log if view else open_log
    log = await opened(url, namespace=settings.namespace, access=settings.access(), codec=codec)
    bus = LogBus(log, codec, DirectoryBlobs(settings.blob_directory))
    try:
        if not view:
            await check_namespace(log, codec)
        yield bus
    finally:
        await bus.close()
        await log.close()


def read_key(settings: Settings) -> str:
    """The gateway's key: as set, else as kept in the data directory, else none."""
    if settings.key:
        return settings.key
    path = settings.data / KEY_FILE
    return path.read_text().strip() if path.exists() else ""
