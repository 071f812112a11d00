"""Drafts build each fact on those before it, and roles know on which channel they hear what."""

from dataclasses import replace

import pytest

from bus.channel import Position
from bus.decider import Draft, Role
from bus.record import Ask, Fact, Posted, derive_id
from bus.testing import envelope
from tests.bus.bank import CLERK, SAFE, TELLER, Deposited, DepositRequested, Forwarded, Receipt, Till


class Sent(Posted, channel="review", addressee="far.role"):
    """A post whose fact stands on another channel than the home of its addressee."""

    workspace_id: str

    def address(self) -> str:
        return self.workspace_id


class Asked(Ask, channel="data"):
    workspace_id: str


def role(name: str, *hears: type) -> Role[None]:
    return Role(
        name=name,
        home="event",
        hears=frozenset(hears),
        says=frozenset(),
        initial=lambda: None,
        decide=lambda draft, heard: None,
        evolve=lambda state, fact, time_ms: None,
    )


def test_each_fact_builds_on_those_before_it() -> None:
    draft = Draft(TELLER, Till(), "cause", 5)
    TELLER.decide(draft, envelope(DepositRequested(workspace_id="w", amount=2, accounts=2), record_id="ask"))
    assert [fact.total for fact in draft.facts if isinstance(fact, Deposited)] == [2, 2]
    assert dict(draft.state.totals) == {"w/0": 2, "w/1": 2}
    assert TELLER.initial().totals == Till().totals, "what it started from is as it was"


def test_a_fact_that_the_role_cannot_fold_ends_the_decision() -> None:
    draft = Draft(TELLER, Till(), "cause", 5)
    with pytest.raises(AssertionError, match="unknown fact"):
        draft.add(Fact())


def test_new_ids_depend_on_the_role_the_cause_and_the_parts_alone() -> None:
    draft = Draft(TELLER, Till(), "cause", 5)
    assert draft.new_id("a") == Draft(TELLER, Till(), "cause", 99).new_id("a") == derive_id("bank.teller", "cause", "a")
    others = [draft.new_id("b"), Draft(TELLER, Till(), "other", 5).new_id("a")]
    others.append(Draft(replace(TELLER, name="x"), Till(), "cause", 5).new_id("a"))
    assert len({draft.new_id("a"), *others}) == 4


def test_a_role_reads_its_home_and_what_it_hears() -> None:
    assert TELLER.inputs == ("task",)
    assert CLERK.inputs == ("event", "task")
    assert SAFE.inputs == ("event",)
    assert role("far.role", Asked).inputs == ("data", "event")


def test_posts_to_a_role_are_heard_at_its_home_and_the_facts_behind_them_never() -> None:
    assert CLERK.heard_on("event") == {"post:Receipt"}
    assert CLERK.heard_on("task") == {"Deposited"}
    assert SAFE.heard_on("event") == {"post:Forwarded"}
    addressee = role("far.role", Sent)
    assert addressee.inputs == ("event",)
    assert addressee.heard_on("event") == {"post:Sent"}


def test_posts_between_others_are_heard_as_the_facts_that_they_are() -> None:
    bystander = role("near.role", Sent, Forwarded, Receipt)
    assert bystander.inputs == ("event", "review")
    assert bystander.heard_on("review") == {"Sent"}
    assert bystander.heard_on("event") == {"Forwarded", "Receipt"}


def test_a_service_is_the_first_part_of_its_roles_names() -> None:
    assert (TELLER.service, SAFE.service) == ("bank", "vault")


def test_positions_are_written_as_they_are_read() -> None:
    at = Position("task", 3, 99)
    assert Position.parse(str(at)) == at
