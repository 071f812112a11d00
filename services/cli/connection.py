"""How a command reaches the system: through a gateway that runs, by opening the log, or by hosting what must answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from bus.client import Bus
from services.cli.failure import Wrong
from services.client import connect
from services.gateway.presence import find_server
from services.settings import Settings


def server_of(settings: Settings) -> str:
    """URL of the gateway to ask: the one named, else one that runs on this data directory unless a log is named."""
    return settings.server or ("" if settings.bus else find_server(settings.data))


def hosts_itself(settings: Settings) -> bool:
    """Whether nobody but this process could answer: an embedded log, and no gateway."""
    return settings.is_embedded and not server_of(settings)


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Bus]:
    """The bus, to read from or to leave a record on. An embedded log that is not there is not made."""
    if hosts_itself(settings) and not log_exists(settings):
        raise Wrong(f"there is no log at {settings.bus_url} yet; `clawx up` or `clawx run` makes one")
    async with connect(server_of(settings) or settings.bus_url, settings=settings) as bus:
        yield bus


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Bus]:
    """The bus, to ask something that others decide; where nobody else could, this process hosts all roles meanwhile."""
    if not hosts_itself(settings):
        async with connect(server_of(settings) or settings.bus_url, settings=settings) as bus:
            yield bus
        return
    if not log_exists(settings):
        raise Wrong(f"there is no log at {settings.bus_url} yet; `clawx up` or `clawx run` makes one")
    from services.system import hosted

    async with hosted(settings, node=False) as system:
        await system.decides()
        yield system.bus


def log_exists(settings: Settings) -> bool:
    """Whether the embedded log has been made."""
    from bus.backends.sqlite_file import locate

    return locate(unquote(urlsplit(settings.bus_url).path[1:])).is_file()
