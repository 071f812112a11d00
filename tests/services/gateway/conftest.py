"""A gateway over a real SQLite log, on a free port of the loopback."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from bus.address import open_log
from bus.blobs import DirectoryBlobs
from bus.client import LogBus
from services.client import read_key
from services.gateway.key import keep_key
from services.gateway.server import open_gateway
from services.http_bus import HttpBus
from services.records import language_codec
from services.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A listening gateway, the bus behind it, and one in front of it."""

    url: str
    key: str
    behind: LogBus
    front: HttpBus
    http: aiohttp.ClientSession


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Everything below a directory of the test."""
    return Settings(data=tmp_path)


@pytest.fixture
async def door(settings: Settings) -> AsyncIterator[Door]:
    """An open gateway."""
    codec = language_codec()
    log = await open_log(settings.bus_url)
    behind = LogBus(log, codec, DirectoryBlobs(settings.blob_directory))
    key = keep_key(settings.data)
    async with (
        open_gateway(behind, codec, replace(settings, port=0), key=key) as url,
        aiohttp.ClientSession() as http,
    ):
        front = HttpBus(url, read_key(settings), codec.types)
        yield Door(url=url, key=key, behind=behind, front=front, http=http)
        await front.close()
    await behind.close()
    await log.close()
