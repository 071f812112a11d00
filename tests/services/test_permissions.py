"""Whoever answers an ask checks again what its actor may do, whatever the door said."""

from __future__ import annotations

from typing import Any

import pytest

from bus.decider import Role
from bus.record import Ask, Record
from bus.testing import Scenario, given
from services.records.permission import ROLES, find_lack
from services.topology import ASKS
from services.topology import ROLES as DECIDERS
from tests.bus.random_records import records

ANSWERED = [(role, kind) for role in DECIDERS for kind in sorted(ASKS & role.hears, key=lambda each: each.__name__)]
NAMES = [f"{role.name} {kind.__name__}" for role, kind in ANSWERED]


def asked(role: Role[Any], kind: type[Record], **actor: Any) -> Scenario[Any]:
    """An ask of some content by this actor, with nothing there before."""
    ask = next(records(kind, 1)).model_copy(update={"idempotency_key": "", "actor": "mallory"} | actor)
    return given(role).when(ask, record_id="ask")


def said(scenario: Scenario[Any]) -> str:
    """The reason of the one refusal that the ask led to."""
    [fact] = scenario.facts
    assert type(fact).__name__.endswith("Refused"), fact
    return str(fact.reason)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("role", "kind"), ANSWERED, ids=NAMES)
def test_an_ask_is_refused_to_who_has_not_the_role(role: Role[Any], kind: type[Ask]) -> None:
    lesser = tuple(name for name in ROLES if name not in (kind.needs_role, "admin"))
    assert f"needs the role {kind.needs_role}" in said(asked(role, kind, actor_roles=lesser))


@pytest.mark.parametrize(("role", "kind"), ANSWERED, ids=NAMES)
def test_an_ask_is_refused_to_a_key_that_is_not_for_it(role: Role[Any], kind: type[Ask]) -> None:
    reason = said(asked(role, kind, actor_roles=ROLES, actor_scopes=("trace:read",)))
    assert reason == f"the key of mallory is not for {kind.needs_scope}"


def test_every_ask_is_answered_by_one_role_and_says_what_it_needs() -> None:
    assert sorted(kind.__name__ for _, kind in ANSWERED) == sorted(kind.__name__ for kind in ASKS)
    for _, kind in ANSWERED:
        assert issubclass(kind, Ask)
        assert kind.needs_role in ROLES[1:], kind
        assert kind.needs_scope.endswith(":write"), kind


@pytest.mark.parametrize("kind", sorted(ASKS, key=lambda each: each.__name__))
def test_an_admin_may_ask_all_and_so_may_who_came_through_no_door(kind: type[Ask]) -> None:
    ask = next(records(kind, 1))
    assert not find_lack(ask.model_copy(update={"actor_roles": (), "actor_scopes": ()}))
    assert not find_lack(ask.model_copy(update={"actor_roles": ("admin",), "actor_scopes": (kind.needs_scope,)}))
