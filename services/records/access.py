"""Keys of people and programs on the EventChannel."""

from bus.record import Ask, Fact, Record, Value
from services.records.instance import SYSTEM_KEY


class Membership(Value):
    """What the holder of a key is in a workspace."""

    workspace_id: str  # "*" for all of them, and for what belongs to none
    roles: tuple[str, ...]  # viewer, operator, approver, admin


class KeyRequested(Ask, channel="event", role="admin", scope="keys:write"):
    """Let whoever knows a secret in. The secret itself is on no log, only its digest with a salt."""

    key_id: str
    holder: str
    salt: bytes
    digest: bytes  # SHA-256 of salt and secret
    memberships: tuple[Membership, ...]
    titles: tuple[str, ...] = ()  # "role:NAME" and "profession:NAME", under which reviews count votes
    scopes: tuple[str, ...] = ()  # "NOUN:read", "NOUN:write"; none: all that the roles allow
    expires_at_ms: int = 0  # 0 for never

    def key(self) -> str:
        return SYSTEM_KEY


class KeyRevokeRequested(Ask, channel="event", role="admin", scope="keys:write"):
    """Let nobody in with this key any more."""

    key_id: str
    reason: str = ""

    def key(self) -> str:
        return SYSTEM_KEY


# Facts of gateway.access.


class KeyIssued(Fact, channel="event"):
    """Whoever knows the secret may come in from here on."""

    key_id: str
    ask_id: str
    holder: str
    salt: bytes
    digest: bytes
    memberships: tuple[Membership, ...]
    titles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    expires_at_ms: int = 0
    actor: str = ""

    def key(self) -> str:
        return SYSTEM_KEY


class KeyRevoked(Fact, channel="event"):
    """The key opens nothing any more."""

    key_id: str
    ask_id: str
    reason: str = ""
    actor: str = ""

    def key(self) -> str:
        return SYSTEM_KEY


class KeyRefused(Fact, channel="event"):
    """A key was not issued or not revoked, with the reason in a sentence."""

    key_id: str
    ask_id: str
    reason: str

    def key(self) -> str:
        return SYSTEM_KEY


RECORDS: tuple[type[Record], ...] = (KeyRequested, KeyRevokeRequested, KeyIssued, KeyRevoked, KeyRefused)
