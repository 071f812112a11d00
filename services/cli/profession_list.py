"""The professions that a system knows: those that ship with the package, and those that were added to it."""

from __future__ import annotations

from bus.client import Bus
from services.cli.connection import hosts_itself, log_exists, reading
from services.definitions.catalogue import Catalogue, shipped_catalogue
from services.definitions.profession import Profession
from services.records.event import SYSTEM_KEY, ProfessionAdded
from services.settings import Settings


async def read_added(bus: Bus) -> dict[str, ProfessionAdded]:
    """The newest version of each profession that was added, by id."""
    added = bus.subscribe("event", [ProfessionAdded], key=SYSTEM_KEY, live=False)
    return {envelope.record.profession: envelope.record async for envelope in added}


async def read_catalogue(bus: Bus) -> Catalogue:
    """All professions as they are now."""
    added = await read_added(bus)
    contents = [await bus.blobs.get(each.digest) for _, each in sorted(added.items())]
    return shipped_catalogue().extended(*(Profession.from_json(content) for content in contents))


async def find_catalogue(settings: Settings) -> Catalogue:
    """All professions as they are now; those that ship where there is no log yet."""
    if hosts_itself(settings) and not log_exists(settings):
        return shipped_catalogue()
    async with reading(settings) as bus:
        return await read_catalogue(bus)
