"""The blob store as the gateway writes it: what was kept a moment ago is not written again."""

from __future__ import annotations

from collections import OrderedDict

from bus.blobs import digest_of
from bus.client import Blobs

KNOWN_MAX = 10_000
"""Most digests that are known to be kept."""


class KnownBlobs:
    """A blob store with a memory for digests; each run brings its definition and professions along again."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._known: OrderedDict[str, None] = OrderedDict()

    async def put(self, content: bytes) -> str:
        """Keep a content unless it is known to be kept."""
        digest = digest_of(content)
        if digest not in self._known:
            await self._blobs.put(content)
            if len(self._known) >= KNOWN_MAX:
                self._known.popitem(last=False)
        self._known[digest] = None
        return digest

    async def get(self, digest: str) -> bytes:
        return await self._blobs.get(digest)
