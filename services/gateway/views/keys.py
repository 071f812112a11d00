"""The keys that open the gateway."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace

from bus.record import Envelope, Record
from services.gateway.caller import Caller
from services.gateway.views.shelf import Shelf
from services.records.access import KeyIssued, KeyRevoked

REVOKED_MAX = 1_000
"""Most keys that are revoked and still shown."""

MARK = "clawx"
"""How every key begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """A key as it was issued, and whether it still opens."""

    issued: KeyIssued
    caller: Caller
    issued_at_ms: int
    revoked_at_ms: int = 0

    def opens(self, secret: str, now_ms: int) -> bool:
        """Whether this secret is the key's, and the key still valid; takes as long whichever it is."""
        is_it = hmac.compare_digest(digest_of_secret(self.issued.salt, secret), self.issued.digest)
        return is_it and self.is_valid(now_ms)

    def is_valid(self, now_ms: int) -> bool:
        return not self.revoked_at_ms and not 0 < self.issued.expires_at_ms <= now_ms


class KeyView:
    """Every key that was issued, and the newest of those that are revoked."""

    wants: tuple[type[Record], ...] = (KeyIssued, KeyRevoked)

    def __init__(self) -> None:
        self.keys: Shelf[KeptKey] = Shelf(lambda k: k.issued_at_ms, lambda k: k.revoked_at_ms > 0, REVOKED_MAX)
        self.on_revoked: Callable[[str], None] = lambda key_id: None

    def apply(self, envelope: Envelope) -> None:
        record = envelope.record
        if isinstance(record, KeyIssued):
            kept = KeptKey(issued=record, caller=_caller(record), issued_at_ms=envelope.time_ms)
            self.keys[record.key_id] = kept
        elif known := self.keys.get(record.key_id):
            self.keys[record.key_id] = replace(known, revoked_at_ms=envelope.time_ms)
            self.on_revoked(record.key_id)

    def find(self, key: str, now_ms: int) -> Caller | None:
        """Who holds this key, if it opens."""
        mark, _, rest = key.partition("_")
        key_id, _, secret = rest.partition("_")
        kept = self.keys.get(key_id)
        if mark != MARK or kept is None or not kept.opens(secret, now_ms):
            return None
        return kept.caller


def digest_of_secret(salt: bytes, secret: str) -> bytes:
    """What is kept of a secret; it is long and random, so that one round of SHA-256 is enough."""
    return hashlib.sha256(salt + secret.encode(errors="replace")).digest()


def _caller(record: KeyIssued) -> Caller:
    roles: dict[str, frozenset[str]] = {}
    for each in record.memberships:
        roles[each.workspace_id] = roles.get(each.workspace_id, frozenset()) | frozenset(each.roles)
    return Caller(
        name=record.holder,
        key_id=record.key_id,
        roles=roles,
        titles=frozenset(record.titles),
        scopes=frozenset(record.scopes),
        expires_at_ms=record.expires_at_ms,
    )
