"""What was read from a content, kept by the digest of the content: comparing contents would cost more than reading."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")


class _Named:
    """A content that is equal to whatever has its digest."""

    __slots__ = ("data", "digest")

    def __init__(self, digest: str, data: bytes) -> None:
        self.digest, self.data = digest, data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def kept_by_digest(read: Callable[[bytes], T], most: int) -> Callable[[str, bytes], T]:
    """A reader of contents with their digests that keeps what so many of them gave. What raises is read again."""

    @lru_cache(maxsize=most)
    def kept(content: _Named) -> T:
        return read(content.data)

    return lambda digest, data: kept(_Named(digest, data))
