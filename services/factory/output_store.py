"""Outputs on their way into the record of an attempt's end: small ones inline, the rest durable in the blob store."""

import asyncio
import codecs
import hashlib
import logging
import mimetypes
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bus.blobs import BlobStore
from bus.errors import BusError, Retryable
from services.factory.agents.envelope import EnvelopeBroken
from services.factory.agents.output_file import opened_output
from services.factory.agents.port import Outcome, Output
from services.factory.secrets import REWRITTEN_BYTES_MAX, Secrets
from services.records.content import INLINE_BYTES_MAX, Content

logger = logging.getLogger(__name__)

INLINE_TOTAL_BYTES_MAX = 48 * 1024
"""Most that all outputs of an attempt take in its record."""

STORE_ATTEMPTS_MAX = 5
"""How often an output is offered to a blob store that is away."""

RETRY_MS = 200
_SNIFFED_BYTES = 4096


class OutputStore:
    """Makes contents of outputs. `bases` are the versions of the inputs by name: what the writer of an output saw."""

    def __init__(self, blobs: BlobStore, secrets: Secrets) -> None:
        self._blobs, self._secrets = blobs, secrets

    def inline(self, outcome: Outcome, bases: Mapping[str, int]) -> tuple[Content, ...] | None:
        """The contents where all outputs are small texts, which costs no waiting; otherwise None."""
        contents, total = [], 0
        for name, output in outcome.outputs.items():
            if output.text is None:
                return None
            data = self._secrets.strike(output.text).encode()
            total += len(data)
            if len(data) > INLINE_BYTES_MAX or total > INLINE_TOTAL_BYTES_MAX:
                return None
            contents.append(_inline(name, data, output.media_type or "text/plain", bases))
        return tuple(contents)

    async def store(self, outcome: Outcome, bases: Mapping[str, int], directory: Path) -> tuple[Content, ...]:
        """The contents, durable. Of a failed attempt, what cannot be used is left out; of a good one it raises
        EnvelopeBroken, as it does when the store does not take it."""
        contents, left = [], INLINE_TOTAL_BYTES_MAX
        for name, output in outcome.outputs.items():
            try:
                content = await self._store(name, output, bases, directory, min(left, INLINE_BYTES_MAX))
            except (EnvelopeBroken, OSError) as error:
                if outcome.ok:
                    raise EnvelopeBroken(f"{error}") from error
                logger.info("the partial output %s is left out: %s", name, error)
                continue
            left -= len(content.inline or b"")
            contents.append(content)
        return tuple(contents)

    async def _store(
        self, name: str, output: Output, bases: Mapping[str, int], directory: Path, inline_max: int
    ) -> Content:
        if output.path is None:
            data = self._secrets.strike(output.text or "").encode()
            media_type = output.media_type or "text/plain"
            if len(data) <= inline_max:
                return _inline(name, data, media_type, bases)
            digest = await self._put(name, data)
            return _named(name, digest, len(data), media_type, bases)
        with opened_output(directory, name, output.path) as (place, held):
            media_type = output.media_type or guess_media_type(name, place.name, held)
            if self._secrets.is_in(held):
                struck = self._strike(name, held)
                if len(struck) <= inline_max:
                    return _inline(name, struck, media_type, bases)
                return _named(name, await self._put(name, struck), len(struck), media_type, bases)
            with held.open("rb") as file:
                data = file.read(inline_max + 1)
            if len(data) <= inline_max:
                return _inline(name, data, media_type, bases)
            digest = await self._put(name, held)
            return _named(name, digest, held.stat().st_size, media_type, bases)

    def _strike(self, name: str, held: Path) -> bytes:
        """What the file holds, without secrets."""
        if held.stat().st_size > REWRITTEN_BYTES_MAX:
            raise EnvelopeBroken(f"output {name!r} holds a secret of the node, and is too large to strike it out")
        return self._secrets.strike_bytes(held.read_bytes())

    async def _put(self, name: str, content: bytes | Path) -> str:
        for attempt in range(1, STORE_ATTEMPTS_MAX + 1):
            try:
                if isinstance(content, bytes):
                    return await self._blobs.put(content)
                return await self._blobs.put_file(content)
            except Retryable as error:
                logger.warning("output %s cannot be stored yet: %s", name, error)
                if attempt == STORE_ATTEMPTS_MAX:
                    raise EnvelopeBroken(f"output {name!r} could not be stored: {error}") from error
                await asyncio.sleep(attempt * RETRY_MS / 1000)
            except (BusError, OSError) as error:
                raise EnvelopeBroken(f"output {name!r} could not be stored: {error}") from error
        raise AssertionError("unreachable")


def guess_media_type(name: str, file_name: str, place: Path) -> str:
    """By the names, else by whether it reads as text."""
    for each in (file_name, name):
        if guessed := mimetypes.guess_type(each, strict=False)[0]:
            return guessed
    with place.open("rb") as file, suppress(UnicodeDecodeError):
        if "\0" not in codecs.getincrementaldecoder("utf-8")().decode(file.read(_SNIFFED_BYTES)):
            return "text/plain"
    return "application/octet-stream"


def _inline(name: str, data: bytes, media_type: str, bases: Mapping[str, int]) -> Content:
    return Content(
        name=name,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        size=len(data),
        media_type=media_type,
        inline=data,
        base_version=bases.get(name, 0),
    )


def _named(name: str, digest: str, size: int, media_type: str, bases: Mapping[str, int]) -> Content:
    return Content(name=name, digest=digest, size=size, media_type=media_type, base_version=bases.get(name, 0))
