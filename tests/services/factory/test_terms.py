"""What a profession says of attempts goes along with each of its instances, however that is made, and comes back with
each result."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.blobs import digest_of
from bus.record import Record
from bus.testing import Scenario, given
from services.definitions.profession import Profession
from services.factory.instances import INSTANCES
from services.factory.instances_state import Instances
from services.records.content import Terms
from services.records.event import InstanceAccepted, InstanceRequested, WarmPoolRequested
from services.records.task import InstanceNeeded, TaskCompleted
from tests.services.factory.one_instance import ACCEPTED, ready, room, started, starting
from tests.services.factory.world import World, python

CONTENT = Profession.model_validate_json(
    b'{"id": "poet", "name": {"en": "Poet"}, "skills": [{"name": "rhyme", "level": 9}],'
    b' "config": {"timeout_multiplier": 2.5, "quality_threshold": 0.7}}'
).to_json()
DIGEST = digest_of(CONTENT)
TERMS = Terms(timeout_multiplier=2.5, quality_threshold=0.7)

POOL = WarmPoolRequested(workspace_id="w", profession="poet", least=1, most=1, idle_ms=5_000, profession_digest=DIGEST)
NEED = InstanceNeeded(workspace_id="w", need_id="n", profession="poet", profession_digest=DIGEST, reason="tasks wait")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.open(tmp_path) as world, world.node():
        yield world


def accepted(instances: Scenario[Instances]) -> InstanceAccepted:
    (fact,) = [fact for fact in instances.facts if isinstance(fact, InstanceAccepted)]
    return fact


@pytest.mark.parametrize(
    "ask", [InstanceRequested(workspace_id="w", profession="poet", profession_digest=DIGEST), POOL, NEED]
)
def test_each_way_to_an_instance_brings_the_terms_of_its_profession(ask: Record) -> None:
    assert accepted(given(INSTANCES, blobs={DIGEST: CONTENT}).when(ask)).terms == TERMS


def test_where_no_profession_is_named_by_digest_nothing_is_stretched_or_sent_back() -> None:
    ask = InstanceRequested(workspace_id="w", profession="poet")
    assert accepted(given(INSTANCES).when(ask)).terms is None


def test_who_is_ready_says_its_terms() -> None:
    instances = given(INSTANCES, ACCEPTED.model_copy(update={"terms": TERMS}), room(), starting())
    instances.when(started())
    assert instances.facts[-1] == ready().model_copy(update={"terms": TERMS})


async def test_a_result_tells_the_quality_that_it_was_to_have(world: World) -> None:
    order = await world.start(driver="inline", agent="script")
    assigned = await world.assign(order, parameters={"script": [{"quality": 0.5}]}, quality_threshold=0.7, outputs=())
    end = await world.end_of(assigned)
    assert isinstance(end, TaskCompleted), end
    assert (end.quality, end.quality_threshold) == (0.5, 0.7)


@pytest.mark.parametrize("feedback", ["", "too little"])
async def test_who_does_it_again_reads_why(world: World, feedback: str) -> None:
    told = "{'ok': True, 'result': {'told': json.loads(sys.stdin.readline()).get('feedback')}}"
    program = f"import json, sys; print(json.dumps({told}))"
    order = await world.start(driver="process", agent="command")
    end = await world.end_of(await world.assign(order, parameters=python(program), feedback=feedback, outputs=()))
    assert isinstance(end, TaskCompleted), end
    assert json.loads(end.result) == {"told": feedback or None}
