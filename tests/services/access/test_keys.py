"""Keys are issued to who may have them, revoked once, and never by who may not."""

from __future__ import annotations

from typing import Any

import pytest

from bus.testing import Scenario, given
from services.access import keys
from services.access.keys import ACCESS, Keys
from services.records.access import KeyIssued, KeyRefused, KeyRequested, KeyRevoked, KeyRevokeRequested, Membership

VIEWER = (Membership(workspace_id="w", roles=("viewer",)),)


def request(**more: Any) -> KeyRequested:
    fields = {"key_id": "k", "holder": "alice", "salt": bytes(16), "digest": bytes(32), "memberships": VIEWER}
    return KeyRequested(**(fields | more))


ISSUED = KeyIssued(key_id="k", ask_id="a", holder="alice", salt=bytes(16), digest=bytes(32), memberships=VIEWER)


def refusal(scenario: Scenario[Keys]) -> str:
    scenario.then_types(KeyRefused)
    fact = scenario.facts[0]
    assert isinstance(fact, KeyRefused)
    return fact.reason


def test_a_key_is_issued_once_and_revoked_once() -> None:
    issued = given(ACCESS).when(request(), record_id="a").then(ISSUED)
    issued.when(request(), record_id="a").then()
    assert "issued already" in refusal(issued.when(request(), record_id="b"))
    revoke = KeyRevokeRequested(key_id="k", reason="lost", actor="bob", actor_roles=("admin",))
    revoked = issued.when(revoke, record_id="c")
    revoked.then(KeyRevoked(key_id="k", ask_id="c", reason="lost", actor="bob"))
    revoked.when(revoke, record_id="c").then()
    assert "no key k" in refusal(revoked.when(revoke, record_id="d"))


@pytest.mark.parametrize("roles", [("viewer",), ("viewer", "operator", "approver")])
def test_who_is_no_admin_neither_issues_nor_revokes(roles: tuple[str, ...]) -> None:
    assert "needs the role admin" in refusal(given(ACCESS).when(request(actor_roles=roles)))
    assert "needs the role admin" in refusal(
        given(ACCESS, ISSUED).when(KeyRevokeRequested(key_id="k", actor_roles=roles))
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"key_id": ""}, "needs an id"),
        ({"holder": ""}, "needs an id and a holder"),
        ({"holder": "x" * 201}, "200 characters"),
        ({"salt": bytes(8)}, "salt of 16 bytes"),
        ({"digest": b"secret"}, "digest of 32"),
        ({"memberships": ()}, "1 to 64 workspaces"),
        ({"memberships": (Membership(workspace_id="w", roles=("owner",)),)}, "no role `owner`"),
        ({"scopes": ("x",) * 65}, "at most 64"),
    ],
)
def test_a_key_that_is_none_is_refused(more: dict[str, Any], said: str) -> None:
    assert said in refusal(given(ACCESS).when(request(**more)))


def test_there_are_only_so_many_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEYS_MAX", 1)
    full = given(ACCESS, ISSUED)
    assert "1 keys" in refusal(full.when(request(key_id="other")))
    full.when(KeyRevokeRequested(key_id="k")).then_types(KeyRevoked)
    full.when(request(key_id="other"), record_id="again").then_types(KeyIssued)
