"""Who calls, and what that person or program may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from services.gateway.rejection import Rejected
from services.records.permission import ROLES

EVERYWHERE = "*"
"""In place of a workspace: all of them, and what belongs to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever holds a key."""

    name: str
    key_id: str = ""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by workspace, or EVERYWHERE
    titles: frozenset[str] = frozenset()  # "role:NAME" and "profession:NAME", under which reviews count votes
    scopes: frozenset[str] = frozenset()  # "NOUN:read", "NOUN:write"; none: all that the roles allow
    expires_at_ms: int = 0  # 0 for never

    def has(self, role: str, workspace: str = "") -> bool:
        """Whether the caller has this role in a workspace; without one, in any."""
        held = (roles for name, roles in self.roles.items() if not workspace or name in (workspace, EVERYWHERE))
        return any(self._covers(roles, role) for roles in held)

    @staticmethod
    def _covers(roles: frozenset[str], role: str) -> bool:
        return role in roles or "admin" in roles or (role == "viewer" and bool(roles))

    def sees(self, workspace: str) -> bool:
        """Whether the caller may read what belongs to a workspace."""
        return self.has("viewer", workspace)

    def require(self, role: str, workspace: str) -> None:
        """Raises Rejected unless the caller has the role there."""
        if not self.has(role, workspace):
            where = f"the workspace `{workspace}`" if workspace != EVERYWHERE else "every workspace"
            raise Rejected(403, f"this needs the role {role} in {where}")

    def require_scope(self, scope: str) -> None:
        """Raises Rejected when the key was narrowed to others."""
        if self.scopes and scope not in self.scopes:
            raise Rejected(403, f"this key is not for {scope}")

    def roles_in(self, workspace: str) -> tuple[str, ...]:
        """What an ask says of its actor."""
        return tuple(role for role in ROLES if self.has(role, workspace))


ROOT = Caller(name="root", roles={EVERYWHERE: frozenset({"admin"})})
"""Whoever can read the key file of the data directory."""


async def caller_of(connection: HTTPConnection) -> Caller:
    """The caller whom the guard let in."""
    caller: Caller = connection.scope["state"]["caller"]
    return caller


Calling = Annotated[Caller, Depends(caller_of)]


class Need:
    """A dependency: the caller has this role in some workspace, and the key this scope."""

    def __init__(self, role: str, scope: str) -> None:
        self.role, self.scope = role, scope

    async def __call__(self, connection: HTTPConnection) -> None:
        caller = await caller_of(connection)
        if not caller.has(self.role):
            raise Rejected(403, f"this needs the role {self.role}")
        caller.require_scope(self.scope)


def needs(role: str, scope: str) -> dict[str, Any]:
    """What a route says of who may use it; the OpenAPI document shows it as `x-role` and `x-scope`."""
    return {"dependencies": [Depends(Need(role, scope))], "openapi_extra": {"x-role": role, "x-scope": scope}}
