"""Professions that people add: versions and refusals."""

import json

import pytest

from bus.testing import Scenario, given
from services.definitions.profession import Profession
from services.factory import professions
from services.factory.professions import PROFESSIONS, Professions
from services.records.event import ProfessionAdded, ProfessionAddRequested, ProfessionRefused

COOK = Profession.model_validate({"id": "cook", "name": {"en": "Cook"}, "skills": ({"name": "soup", "level": 7},)})
BAKER = COOK.model_copy(update={"id": "baker"})
BETTER_COOK = COOK.model_copy(update={"category": "kitchen"})
BROKEN = json.dumps({"id": "cook", "name": {"en": "Cook"}, "skills": [{"name": "soup", "level": 99}]}).encode()
BLOBS = {profession.digest(): profession.to_json() for profession in (COOK, BAKER, BETTER_COOK)} | {"broken": BROKEN}


def add(profession: Profession) -> ProfessionAddRequested:
    return ProfessionAddRequested(profession=profession.id, digest=profession.digest())


def refusal(scenario: Scenario[Professions]) -> str:
    scenario.then_types(ProfessionRefused)
    fact = scenario.facts[0]
    assert isinstance(fact, ProfessionRefused)
    return fact.reason


def added(profession: Profession, version: int, ask_id: str) -> ProfessionAdded:
    return ProfessionAdded(profession=profession.id, version=version, digest=profession.digest(), ask_id=ask_id)


def test_each_new_content_of_a_profession_is_its_next_version() -> None:
    known = given(PROFESSIONS, blobs=BLOBS).when(add(COOK), record_id="a").then(added(COOK, 1, "a"))
    known.when(add(BAKER), record_id="b").then(added(BAKER, 1, "b"))
    known.when(add(BETTER_COOK), record_id="c").then(added(BETTER_COOK, 2, "c"))


def test_the_newest_content_again_is_the_same_version() -> None:
    known = given(PROFESSIONS, added(COOK, 3, "x"), blobs=BLOBS).when(add(COOK), record_id="a")
    known.then(added(COOK, 3, "a"))


def test_the_same_ask_twice_is_answered_once() -> None:
    known = given(PROFESSIONS, blobs=BLOBS).when(add(COOK), record_id="a")
    known.when(add(COOK), record_id="a").then()


def test_a_content_that_the_store_lacks_is_refused_once() -> None:
    known = given(PROFESSIONS).when(add(COOK), record_id="a")
    assert refusal(known) == f"the blob store has no content {COOK.digest()}"
    known.when(add(COOK), record_id="a").then()


def test_a_content_that_is_no_profession_is_refused_with_the_field() -> None:
    known = given(PROFESSIONS, blobs=BLOBS)
    assert "level" in refusal(known.when(ProfessionAddRequested(profession="cook", digest="broken")))


def test_a_content_of_another_profession_is_refused() -> None:
    ask = ProfessionAddRequested(profession="cook", digest=BAKER.digest())
    assert "`baker`, not of `cook`" in refusal(given(PROFESSIONS, blobs=BLOBS).when(ask))


def test_there_is_a_most_of_professions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(professions, "PROFESSIONS_MAX", 1)
    known = given(PROFESSIONS, added(COOK, 1, "x"), blobs=BLOBS)
    assert "the most" in refusal(known.when(add(BAKER)))
    known.when(add(BETTER_COOK)).then_types(ProfessionAdded)
