"""Blobs that Deciders ask for: loaded once, kept within a limit, and handed over without waiting when they are
there. And those that they make, which are durable before a fact names them."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from bus.errors import Fatal, Refused

logger = logging.getLogger(__name__)

CACHE_BYTES_MAX = 64 * 1024 * 1024
BLOB_WAIT_MS_MAX = 10_000
"""How long an input waits for a blob that the store says it lacks; after that the Decider is told that it is
missing."""

RETRY_MS = 100
PUT_MAX = 10_000
"""Most digests that are remembered as durable; forgetting one costs no more than to put it again."""


class BlobReader(Protocol):
    """The part of a blob store that whoever only decides again needs."""

    async def get(self, digest: str) -> bytes: ...


class BlobKeeper(BlobReader, Protocol):
    """The part of a blob store that this needs."""

    async def put(self, content: bytes) -> str: ...


class BlobCache:
    """`now` gives all contents at once or starts to load what is missing and calls `loaded` when it is there."""

    def __init__(self, blobs: BlobKeeper, loaded: Callable[[], None] = lambda: None) -> None:
        self._blobs, self.loaded = blobs, loaded
        self._contents: OrderedDict[str, bytes | None] = OrderedDict()
        self._bytes = 0
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._awaited: set[str] = set()  # by inputs that wait for all that they need
        self._durable: OrderedDict[str, None] = OrderedDict()
        self._puts: dict[str, asyncio.Task[None]] = {}
        self._unkept: dict[str, Fatal] = {}

    def now(self, digests: Iterable[str]) -> Mapping[str, bytes | None] | None:
        """Contents by digest, None for those that the store lacks; None in all while some are still being loaded."""
        wanted = tuple(digests)
        missing = [digest for digest in wanted if digest not in self._contents]
        for digest in missing:
            if digest not in self._loads:
                self._loads[digest] = asyncio.get_running_loop().create_task(self._load(digest))
        if missing:
            self._awaited.update(wanted)
            return None
        for digest in wanted:
            self._contents.move_to_end(digest)
        return {digest: self._contents[digest] for digest in wanted}

    async def _load(self, digest: str) -> None:
        content = await self._fetch(digest)
        self._contents[digest] = content
        self._bytes += len(content or b"")
        del self._loads[digest]
        self._awaited.clear()
        self.loaded()  # whoever still waits asks again, and thereby says what is still awaited
        if content is None:  # told to all who waited; whoever asks later makes it look again
            self._forget(digest)
        while self._bytes > CACHE_BYTES_MAX and (old := self._oldest()):
            self._forget(old)

    def _oldest(self) -> str | None:
        return next((digest for digest in self._contents if digest not in self._awaited), None)

    def _forget(self, digest: str) -> None:
        self._bytes -= len(self._contents.pop(digest) or b"")

    async def _fetch(self, digest: str) -> bytes | None:
        """The store being unavailable is waited out; a blob that it lacks, or has only damaged, is given up after
        BLOB_WAIT_MS_MAX, and what is no digest at once."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + BLOB_WAIT_MS_MAX / 1000
        while True:
            try:
                return await self._blobs.get(digest)
            except Refused as error:
                logger.error("no store has that: %s", error)
                return None
            except Fatal as error:
                if loop.time() >= give_up:
                    logger.error("no blob %s in the store after %d ms: %s", digest, BLOB_WAIT_MS_MAX, error)
                    return None
            except Exception as error:  # noqa: BLE001 — of whatever kind: its input waits, and this says for what
                logger.warning("blob %s cannot be read yet: %r", digest, error)
            await asyncio.sleep(RETRY_MS / 1000)

    def keep(self, contents: Mapping[str, bytes]) -> bool:
        """Whether all of these are durable; puts what is not and calls `loaded` when it is. Raises what the store will
        never keep."""
        for digest in contents:
            if error := self._unkept.pop(digest, None):
                raise error
        missing = [digest for digest in contents if digest not in self._durable]
        for digest in missing:
            if digest not in self._puts:
                self._puts[digest] = asyncio.get_running_loop().create_task(self._put(digest, contents[digest]))
        return not missing

    async def _put(self, digest: str, content: bytes) -> None:
        """A store that cannot keep it now is waited out: a decision that is made must come to its place."""
        while True:
            try:
                await self._blobs.put(content)
                self._durable[digest] = None
                break
            except Fatal as error:
                self._unkept[digest] = error
                break
            except Exception as error:  # noqa: BLE001 — of whatever kind: its input waits, and this says for what
                logger.warning("blob %s cannot be kept yet: %r", digest, error)
            await asyncio.sleep(RETRY_MS / 1000)
        del self._puts[digest]
        while len(self._durable) > PUT_MAX + len(self._puts):
            self._durable.popitem(last=False)
        self.loaded()

    async def close(self) -> None:
        """Stop loading and putting."""
        tasks = [*self._loads.values(), *self._puts.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
