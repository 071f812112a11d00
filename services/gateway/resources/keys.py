"""/keys: who may come in."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from bus.record import derive_id
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import EVERYWHERE, Calling, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind
from services.gateway.rejection import NotFound, Rejected
from services.gateway.resources.field import Body, Name, Shown, Text, Written, example
from services.gateway.views.keys import MARK, KeptKey, digest_of_secret
from services.records.access import KeyRequested, KeyRevokeRequested, Membership
from services.records.event import SYSTEM_KEY

router = APIRouter(prefix=f"{PREFIX}/keys", tags=["keys"])

Role = Literal["viewer", "operator", "approver", "admin"]
Word = Annotated[str, Field(min_length=1, max_length=200)]

SECRET_BYTES = 32
SALT_BYTES = 16


class MembershipShown(Body):
    """What the holder is in a workspace."""

    workspace_id: Annotated[Word, Field(description="`*` for all of them, and for what belongs to none.")]
    roles: Annotated[list[Role], Field(min_length=1, max_length=4)]


class KeyOrder(Body):
    """Asks for a key."""

    model_config = example(
        {"holder": "alice", "memberships": [{"workspace_id": "default", "roles": ["viewer"]}], "expires_in_s": 3600}
    )

    holder: Name
    memberships: Annotated[list[MembershipShown], Field(min_length=1, max_length=64)]
    titles: Annotated[list[Word], Field(default_factory=list, max_length=64, description="`role:NAME` in reviews.")]
    scopes: Annotated[list[Word], Field(default_factory=list, max_length=64, examples=[["runs:read"]])]
    expires_in_s: Annotated[int, Field(ge=0, le=10 * 365 * 86400, description="0 for never.")] = 0


class KeyMade(Written):
    """A key; nobody will ever see it again."""

    key_id: str
    key: str


class KeyShown(Shown):
    """What is known of a key."""

    key_id: str
    holder: str
    memberships: list[MembershipShown]
    titles: list[str]
    scopes: list[str]
    issued_at: int
    expires_at: int | None
    revoked_at: int | None


@router.post("", status_code=201, response_model=KeyMade, **needs("admin", "keys:write"))
async def issue_key(order: KeyOrder, gateway: Behind, asking: Asking) -> Response:
    """Issue a key. It is shown this once."""
    asking.caller.require("admin", EVERYWHERE)
    key_id, secret = derive_id("key", asking.record_id), secrets.token_urlsafe(SECRET_BYTES)
    salt = secrets.token_bytes(SALT_BYTES)
    ask = KeyRequested(
        key_id=key_id,
        holder=order.holder,
        salt=salt,
        digest=digest_of_secret(salt, secret),
        memberships=tuple(Membership(workspace_id=m.workspace_id, roles=tuple(m.roles)) for m in order.memberships),
        titles=tuple(order.titles),
        scopes=tuple(order.scopes),
        expires_at_ms=(time.time_ns() // 1_000_000 + order.expires_in_s * 1000) if order.expires_in_s else 0,
    )
    answered = await gateway.desk.ask(ask, asking, SYSTEM_KEY)
    if gateway.reading.keys.keys[key_id].issued.salt != salt:
        raise Rejected(409, f"the key {key_id} was issued before and is not shown again; revoke it if it is lost")
    made = KeyMade(position=str(answered.shown_at), key_id=key_id, key=f"{MARK}_{key_id}_{secret}")
    answer = written(made, 201, location=f"{router.prefix}/{key_id}")
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.get("", **shown(Page[KeyShown], "Keys, the oldest first."), **needs("admin", "keys:read"))
async def list_keys(
    request: Request, gateway: Behind, caller: Calling, turn: Turning, _fresh: None = Fresh
) -> Response:
    """List the keys that were issued."""
    caller.require("admin", EVERYWHERE)
    return show(request, turn.page(gateway.reading.keys.keys, lambda each: True, _show))


@router.get("/{key_id}", **shown(KeyShown, "The key."), **needs("admin", "keys:read"))
async def get_key(
    request: Request, gateway: Behind, caller: Calling, key_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Show what is known of a key."""
    caller.require("admin", EVERYWHERE)
    found = gateway.reading.keys.keys.get(key_id)
    if found is None:
        raise NotFound(f"key {key_id}")
    return show(request, _show(found))


@router.delete("/{key_id}", response_model=Written, **needs("admin", "keys:write"))
async def revoke_key(
    gateway: Behind,
    asking: Asking,
    key_id: Annotated[Name, Path()],
    reason: Annotated[Text, Query(description="Kept in the log.")] = "",
) -> Response:
    """Revoke a key; what it has open is closed."""
    asking.caller.require("admin", EVERYWHERE)
    if key_id not in gateway.reading.keys.keys:
        raise NotFound(f"key {key_id}")
    ask = KeyRevokeRequested(key_id=key_id, reason=reason)
    answered = await gateway.desk.ask(ask, asking, SYSTEM_KEY)
    return written(Written(position=str(answered.shown_at)), 200)


def _show(kept: KeptKey) -> KeyShown:
    issued = kept.issued
    return KeyShown(
        key_id=issued.key_id,
        holder=issued.holder,
        memberships=[MembershipShown.model_validate(each.model_dump()) for each in issued.memberships],
        titles=list(issued.titles),
        scopes=list(issued.scopes),
        issued_at=kept.issued_at_ms,
        expires_at=issued.expires_at_ms or None,
        revoked_at=kept.revoked_at_ms or None,
    )
