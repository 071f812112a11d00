"""A workflow that came through the door, made ready to run; no file of this machine is read for it."""

from __future__ import annotations

import json
from typing import Any

from bus.blobs import digest_of
from bus.client import Blobs
from services.definitions.catalogue import Catalogue
from services.definitions.resolution import Prepared, prepare
from services.definitions.workflow import read_workflow
from services.records.content import INLINE_BYTES_MAX, Content

FILE = "workflow"
"""What problems call the definition."""


def prepare_text(definition: str | dict[str, Any], catalogue: Catalogue) -> Prepared:
    """Read, resolve and validate; raises DefinitionInvalid."""
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return prepare(read_workflow(text.encode(errors="surrogatepass"), FILE), catalogue)


async def keep(blobs: Blobs, prepared: Prepared) -> None:
    """Keep all that a run names by digest."""
    for content in prepared.blobs.values():
        await blobs.put(content)


async def keep_value(blobs: Blobs, name: str, value: Any) -> Content:
    """A JSON value as a content: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return await keep_bytes(blobs, name, value.encode(errors="replace"), "text/plain")
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return await keep_bytes(blobs, name, text.encode(errors="replace"), "application/json")


async def keep_bytes(blobs: Blobs, name: str, content: bytes, media_type: str) -> Content:
    """A content that may be named in a record: small ones travel in it, others are kept first."""
    inline = content if len(content) <= INLINE_BYTES_MAX else None
    digest = digest_of(content) if inline is not None else await blobs.put(content)
    return Content(name=name, digest=digest, size=len(content), media_type=media_type, inline=inline)
