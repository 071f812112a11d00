"""The professions that were added, by version."""

from __future__ import annotations

from bus.client import Blobs
from bus.record import Envelope, Record
from services.definitions.catalogue import Catalogue, shipped_catalogue
from services.definitions.profession import Profession
from services.records.event import ProfessionAdded


class ProfessionView:
    """The newest version of each profession; the catalogue is put together when somebody asks for it."""

    wants: tuple[type[Record], ...] = (ProfessionAdded,)

    def __init__(self) -> None:
        self.added: dict[str, ProfessionAdded] = {}
        self._catalogue: tuple[int, Catalogue] | None = None
        self._changes = 0

    def apply(self, envelope: Envelope) -> None:
        self.added[envelope.record.profession] = envelope.record
        self._changes += 1

    async def catalogue(self, blobs: Blobs) -> Catalogue:
        """All professions as they are now."""
        changes = self._changes
        if self._catalogue is None or self._catalogue[0] != changes:
            contents = [await blobs.get(each.digest) for _, each in sorted(self.added.items())]
            extended = shipped_catalogue().extended(*(Profession.from_json(content) for content in contents))
            self._catalogue = (changes, extended)
        return self._catalogue[1]
