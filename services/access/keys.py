"""Keys of people and programs: issued, revoked, or refused with the reason. Expiry is told by the clock of the door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from immutables import Map

from bus.decider import Draft, Role, fold_by_type
from bus.record import Envelope, Fact
from bus.seen import Seen
from services.records.access import KeyIssued, KeyRefused, KeyRequested, KeyRevoked, KeyRevokeRequested
from services.records.permission import ROLES, find_lack

KEYS_MAX = 10_000
"""Most keys that are issued and not revoked."""

SECRET_DIGEST_BYTES = 32
SALT_BYTES_MIN = 16
NAME_LENGTH_MAX = 200
MEMBERSHIPS_MAX = 64
WORDS_MAX = 64
"""Most titles, and most scopes, of a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys that open something, by id, with their holders."""

    holders: Map[str, str] = Map()
    seen: Seen = Seen()


def decide(draft: Draft[Keys], heard: Envelope) -> None:
    """Issue or revoke a key, or say why not; only an admin of everything may ask, or whoever may write the log."""
    ask = heard.record
    if not isinstance(ask, KeyRequested | KeyRevokeRequested) or heard.id in draft.state.seen:
        return
    if reason := _find_fault(draft.state, ask):
        draft.add(KeyRefused(key_id=ask.key_id[:NAME_LENGTH_MAX], ask_id=heard.id, reason=reason))
    elif isinstance(ask, KeyRequested):
        draft.add(_issued(ask, heard.id))
    else:
        draft.add(KeyRevoked(key_id=ask.key_id, ask_id=heard.id, reason=ask.reason, actor=ask.actor))


def _issued(ask: KeyRequested, ask_id: str) -> KeyIssued:
    return KeyIssued(
        key_id=ask.key_id,
        ask_id=ask_id,
        holder=ask.holder,
        salt=ask.salt,
        digest=ask.digest,
        memberships=ask.memberships,
        titles=ask.titles,
        scopes=ask.scopes,
        expires_at_ms=ask.expires_at_ms,
        actor=ask.actor,
    )


def _find_fault(state: Keys, ask: KeyRequested | KeyRevokeRequested) -> str:
    if lack := find_lack(ask):
        return lack
    if isinstance(ask, KeyRevokeRequested):
        return "" if ask.key_id in state.holders else f"there is no key {ask.key_id[:NAME_LENGTH_MAX]} to revoke"
    if ask.key_id in state.holders:
        return f"the key {ask.key_id} is issued already"
    if len(state.holders) >= KEYS_MAX:
        return f"there are {KEYS_MAX} keys, which is the most there may be; revoke one first"
    return _find_flaw(ask)


def _find_flaw(ask: KeyRequested) -> str:
    if not (0 < len(ask.key_id) <= NAME_LENGTH_MAX and 0 < len(ask.holder) <= NAME_LENGTH_MAX):
        return f"a key needs an id and a holder of at most {NAME_LENGTH_MAX} characters"
    if len(ask.digest) != SECRET_DIGEST_BYTES or len(ask.salt) < SALT_BYTES_MIN:
        return f"a key needs a salt of {SALT_BYTES_MIN} bytes or more, and a digest of {SECRET_DIGEST_BYTES}"
    if not 0 < len(ask.memberships) <= MEMBERSHIPS_MAX or max(len(ask.titles), len(ask.scopes)) > WORDS_MAX:
        return f"a key needs a role in 1 to {MEMBERSHIPS_MAX} workspaces, and at most {WORDS_MAX} titles and scopes"
    strange = sorted({role for each in ask.memberships for role in each.roles} - set(ROLES))
    return f"there is no role `{strange[0]}`; there are {', '.join(ROLES)}" if strange else ""


def _fold_issued(state: Keys, fact: KeyIssued, time_ms: int) -> Keys:
    return replace(
        state, holders=state.holders.set(fact.key_id, fact.holder), seen=state.seen.add(fact.ask_id, time_ms)
    )


def _fold_revoked(state: Keys, fact: KeyRevoked, time_ms: int) -> Keys:
    return replace(state, holders=state.holders.delete(fact.key_id), seen=state.seen.add(fact.ask_id, time_ms))


def _fold_refused(state: Keys, fact: KeyRefused, time_ms: int) -> Keys:
    return replace(state, seen=state.seen.add(fact.ask_id, time_ms))


FOLDS: Mapping[type[Fact], Callable[[Keys, Any, int], Keys]] = {
    KeyIssued: _fold_issued,
    KeyRevoked: _fold_revoked,
    KeyRefused: _fold_refused,
}

evolve = fold_by_type("gateway.access", FOLDS)
"""The keys after one of their facts."""

ACCESS: Role[Keys] = Role(
    name="gateway.access",
    home="event",
    hears=frozenset({KeyRequested, KeyRevokeRequested}),
    says=frozenset(FOLDS),
    initial=Keys,
    decide=decide,
    evolve=evolve,
)
