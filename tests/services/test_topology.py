"""The map fits together: every ask has one hearer, every channel one who sets aside, every fact one who says it."""

from __future__ import annotations

from collections import Counter

from bus.channel import STATE_CHANNELS
from bus.record import Posted
from services.topology import ASKS, HOMES, ROLES, SERVICES, roles_of


def test_every_role_belongs_to_one_service_and_every_service_has_roles() -> None:
    assert len(HOMES) == len(ROLES)
    assert all(roles_of(service) for service in SERVICES)
    assert set(HOMES.values()) <= set(STATE_CHANNELS)


def test_every_ask_is_heard_by_exactly_one_role() -> None:
    hearers = Counter(kind for role in ROLES for kind in role.hears)
    assert {kind.__name__: hearers[kind] for kind in ASKS} == {kind.__name__: 1 for kind in ASKS}


def test_every_fact_is_said_by_one_role_on_its_home() -> None:
    speakers = Counter(kind for role in ROLES for kind in role.says)
    assert not [kind for kind, count in speakers.items() if count > 1]
    for role in ROLES:
        assert {kind.channel for kind in role.says} <= {role.home}, role.name


def test_every_state_channel_has_one_role_that_sets_aside_what_nobody_can_read() -> None:
    named = Counter(channel for role in ROLES for channel in role.quarantines)
    assert named == dict.fromkeys(STATE_CHANNELS, 1)


def test_every_post_has_an_addressee_that_hears_it() -> None:
    by_name = {role.name: role for role in ROLES}
    for role in ROLES:
        for kind in role.says:
            if issubclass(kind, Posted):
                assert kind in by_name[kind.addressee].hears, f"{role.name} posts {kind.__name__} to {kind.addressee}"
