"""How a command reaches the system: through a gateway that runs, by opening the log, or by hosting what must answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bus.client import Bus
from services.cli.failure import Wrong
from services.client import connect
from services.gateway.presence import find_server
from services.settings import Settings

if TYPE_CHECKING:
    from bus.blobs import DirectoryBlobs
    from bus.codec import Codec
    from bus.log import Log


def server_of(settings: Settings) -> str:
    """URL of the gateway to ask: the one named, else one that runs on this data directory unless a log is named."""
    return settings.server or ("" if settings.bus else find_server(settings.data))


def hosts_itself(settings: Settings) -> bool:
    """Whether nobody but this process could answer: an embedded log, and no gateway."""
    return settings.is_embedded and not server_of(settings)


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Bus]:
    """The bus, to read from: also a log that another process owns, and never one that is not there."""
    _require_log(settings)
    async with connect(server_of(settings) or settings.bus_url, settings=settings, view=True) as bus:
        yield bus


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Bus]:
    """The bus, to leave a record on whether or not somebody answers."""
    _require_log(settings)
    async with connect(server_of(settings) or settings.bus_url, settings=settings) as bus:
        yield bus


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Bus]:
    """The bus, to ask something that others decide; where nobody else could, this process hosts all roles meanwhile."""
    if not hosts_itself(settings):
        async with connect(server_of(settings) or settings.bus_url, settings=settings) as bus:
            yield bus
        return
    _require_log(settings)
    from services.system import hosted

    async with hosted(settings, node=False) as system:
        await system.decides()
        yield system.bus


def _require_log(settings: Settings) -> None:
    if hosts_itself(settings) and not log_exists(settings):
        raise Wrong(f"there is no log at {settings.bus_url} yet; `clawx up` or `clawx run` makes one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A log to look at, with what reading it takes."""

    log: Log
    codec: Codec
    blobs: DirectoryBlobs


@asynccontextmanager
async def viewing(settings: Settings) -> AsyncIterator[Stored]:
    """The log itself, record by record and read only, also while a server is at work on it."""
    from bus.address import view_log
    from bus.blobs import DirectoryBlobs
    from services.records import language_codec

    if settings.is_embedded and not log_exists(settings):
        raise Wrong(f"there is no log at {settings.bus_url} yet; `clawx up` or `clawx run` makes one")
    codec = language_codec()
    log = await view_log(settings.bus_url, namespace=settings.namespace, access=settings.access(), codec=codec)
    try:
        yield Stored(log=log, codec=codec, blobs=DirectoryBlobs(settings.blob_directory))
    finally:
        await log.close()


def log_exists(settings: Settings) -> bool:
    """Whether the embedded log has been made."""
    from bus.backends.sqlite_file import locate

    return locate(unquote(urlsplit(settings.bus_url).path[1:])).is_file()
