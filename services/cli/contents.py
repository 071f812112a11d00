"""Contents on their way into a record: small ones travel in it, others are kept first and named by digest."""

from __future__ import annotations

from bus.blobs import digest_of
from bus.client import Blobs
from services.records.content import INLINE_BYTES_MAX, Content


async def keep_content(blobs: Blobs, name: str, content: bytes, media_type: str) -> Content:
    """A content that may be named in a record from now on."""
    inline = content if len(content) <= INLINE_BYTES_MAX else None
    digest = digest_of(content) if inline is not None else await blobs.put(content)
    return Content(name=name, digest=digest, size=len(content), media_type=media_type, inline=inline)
