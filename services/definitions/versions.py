"""Versions of artifacts: the next one of a name, or the conflict of two writers on one base; for runs and workspaces.

A writer names the version that it saw as its base (0: there was none). It gets the next version only if its base is
still the newest one, so of two writers on one base exactly one wins.
"""

import hashlib
import re
from dataclasses import dataclass

from services.records.content import INLINE_BYTES_MAX, Artifact, Content

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A write that lost: which version stands instead, and why in a sentence."""

    name: str
    base_version: int
    newest: int
    reason: str


def write_version(content: Content, newest: int, base: int | None = None) -> Artifact | Conflict:
    """The next version of a name whose newest version is `newest` (0 for none), or why it is not to be.

    The base is what the content says, unless whoever decides knows better.
    """
    base_version = content.base_version if base is None else base
    if base_version == newest:
        return Artifact(
            name=content.name,
            version=newest + 1,
            digest=content.digest,
            size=content.size,
            media_type=content.media_type,
            inline=content.inline,
            base_version=newest,
        )
    return Conflict(
        name=content.name,
        base_version=base_version,
        newest=newest,
        reason=f"`{content.name}` was written from {_seen(base_version)}, but {_standing(newest)}",
    )


def _seen(base_version: int) -> str:
    return f"version {base_version}" if base_version else "nothing"


def _standing(newest: int) -> str:
    return f"version {newest} stands meanwhile" if newest else "there is no version of it"


def find_fault(content: Content) -> str:
    """What makes this content unfit to be an artifact, in a sentence; empty if nothing does."""
    if not _DIGEST.fullmatch(content.digest):
        return f"`{content.name}` has the digest {content.digest[:80]!r}, which is not sha256: and 64 hex digits"
    if content.size < 0:
        return f"`{content.name}` has a negative size"
    if content.inline is None:
        return ""
    if len(content.inline) > INLINE_BYTES_MAX:
        return f"`{content.name}` has {len(content.inline)} bytes inline, more than {INLINE_BYTES_MAX}"
    if len(content.inline) != content.size or digest_of(content.inline) != content.digest:
        return f"`{content.name}` has an inline content that its size or digest does not describe"
    return ""


def digest_of(data: bytes) -> str:
    """`sha256:` and the hex digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
