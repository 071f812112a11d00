"""The store of big payloads: content named by its digest, durable before anybody hears of it."""

import asyncio
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from bus.errors import BlobCorrupt, BlobMissing, BlobTooLarge, LogFull, Refused, Unavailable

BLOB_BYTES_MAX = 1024 * 1024 * 1024
"""Largest blob, unless a store is made with another limit."""

_CHUNK_BYTES = 1024 * 1024
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class BlobStore(Protocol):
    """Contents by digest: `sha256:` and 64 hexadecimal digits. A content never changes, and may be put many times.

    Raises Refused for what is no digest, BlobMissing for one that the store lacks, BlobCorrupt for a content that is
    not what its digest says, BlobTooLarge, and LogFull (nothing was kept) or Unavailable when the medium fails.
    """

    async def put(self, content: bytes) -> str:
        """Keep the content and return its digest; it is durable by then."""
        ...

    async def put_file(self, path: Path) -> str:
        """Keep the content of a file of any size, read in pieces; as durable as with `put`."""
        ...

    async def get(self, digest: str) -> bytes:
        """The content, checked against its digest."""
        ...

    async def get_file(self, digest: str, path: Path) -> None:
        """Copy the content, checked against its digest, to `path`, where it appears whole or not at all."""
        ...

    async def has(self, digest: str) -> bool:
        """Whether the store holds the content."""
        ...

    async def size(self, digest: str) -> int:
        """Bytes of the content."""
        ...

    def path(self, digest: str) -> Path | None:
        """Where the content is or would be on this machine, unchecked; None when the store is elsewhere."""
        ...


def digest_of(content: bytes) -> str:
    """Name of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class DirectoryBlobs:
    """A BlobStore in a directory, which many processes may share."""

    def __init__(self, root: Path | str, *, bytes_max: int = BLOB_BYTES_MAX) -> None:
        self._root = Path(root)
        self._bytes_max = bytes_max
        self._durable_directories: set[Path] = set()

    async def put(self, content: bytes) -> str:
        return await asyncio.to_thread(self._put, content)

    async def put_file(self, path: Path) -> str:
        return await asyncio.to_thread(self._put_file, path)

    async def get(self, digest: str) -> bytes:
        return await asyncio.to_thread(self._get, digest)

    async def get_file(self, digest: str, path: Path) -> None:
        await asyncio.to_thread(self._get_file, digest, path)

    async def has(self, digest: str) -> bool:
        return await asyncio.to_thread(self.path(digest).exists)

    async def size(self, digest: str) -> int:
        with self._failures(digest):
            return (await asyncio.to_thread(self.path(digest).stat)).st_size

    def path(self, digest: str) -> Path:
        if not (match := _DIGEST.fullmatch(digest)):
            raise Refused(f"{digest!r} is no digest: that is `sha256:` and 64 hexadecimal digits")
        name = match[1]
        return self._root / "sha256" / name[:2] / name[2:]

    def _put(self, content: bytes) -> str:
        path = self.path(digest := digest_of(content))
        with self._failures(digest):
            if path.exists() and path.read_bytes() == content:
                # Whoever wrote it may not have come as far as making its name durable.
                self._make_durable(path.parent)
                _sync_directory(path.parent)
                return digest
            return self._keep((content,))

    def _put_file(self, path: Path) -> str:
        with path.open("rb") as file, self._failures(str(path)):
            return self._keep(_chunks(file))

    def _get(self, digest: str) -> bytes:
        with self._failures(digest):
            content = self.path(digest).read_bytes()
        if (found := digest_of(content)) != digest:
            raise BlobCorrupt(f"the blob {digest} in {self._root} has the content of {found}")
        return content

    def _get_file(self, digest: str, path: Path) -> None:
        with self._failures(digest), self.path(digest).open("rb") as source:
            partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            try:
                with partial.open("xb") as target:
                    found = self._copy(_chunks(source), target)
                if found != digest:
                    raise BlobCorrupt(f"the blob {digest} in {self._root} has the content of {found}")
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def _keep(self, chunks: Iterable[bytes]) -> str:
        """Write a file that has no name yet; give it the name of its digest once it is durable."""
        partial = self._root / "partial" / secrets.token_hex(16)
        self._make_durable(partial.parent)
        try:
            with partial.open("xb") as file:
                digest = self._copy(chunks, file)
                file.flush()
                os.fsync(file.fileno())
            path = self.path(digest)
            self._make_durable(path.parent)
            partial.chmod(0o444)
            partial.replace(path)
            _sync_directory(path.parent)
        finally:
            partial.unlink(missing_ok=True)
        return digest

    def _copy(self, chunks: Iterable[bytes], target: BinaryIO) -> str:
        """Write the chunks and return the digest of what was written."""
        sha256, length = hashlib.sha256(), 0
        for chunk in chunks:
            if (length := length + len(chunk)) > self._bytes_max:
                raise BlobTooLarge(f"a blob has at most {self._bytes_max} bytes")
            sha256.update(chunk)
            target.write(chunk)
        return f"sha256:{sha256.hexdigest()}"

    def _make_durable(self, directory: Path) -> None:
        """Make a directory below the root, so that it stays after a crash of the machine."""
        if directory in self._durable_directories:
            return
        directory.mkdir(parents=True, exist_ok=True)
        for made in (directory, *directory.parents):
            _sync_directory(made)
            if made == self._root.parent:
                break
        self._durable_directories.add(directory)

    @contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        """Translate what the file system says."""
        try:
            yield
        except FileNotFoundError as error:
            raise BlobMissing(f"no blob {what} in {self._root}") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise LogFull(f"no room for a blob in {self._root}; nothing was kept") from error
            raise Unavailable(f"the blob store {self._root} fails on {what}: {error}") from error


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
