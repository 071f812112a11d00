"""How an instance gets a new worker, and a new version of its profession, without losing a task."""

import json

import pytest

from bus.blobs import digest_of
from bus.testing import Scenario, given
from services.definitions.profession import Profession
from services.factory.instances import INSTANCES
from services.factory.instances_state import RESTARTING, Instances
from services.records.content import Terms
from services.records.event import (
    CapacityRequested,
    InstanceDraining,
    InstanceReady,
    InstanceRefused,
    InstanceRestarting,
    InstanceRestartRequested,
    InstanceStarting,
)
from tests.services.factory.one_instance import (
    ACCEPTED,
    DESTROY,
    DRAINING,
    VACATED,
    begun,
    deadline,
    ended,
    gone,
    granted,
    host_lost,
    others,
    ready,
    released,
    room,
    silent,
    started,
    starting,
    stopping,
    working,
)

RESTART = InstanceRestartRequested(workspace_id="w", instance_id="i", reason="new tools")


def profession(name: str, level: int) -> tuple[str, bytes]:
    skills = [{"name": "testing", "level": level}, {"name": "patience", "level": 3}]
    config = {"timeout_multiplier": 2.0, "quality_threshold": 0.9}
    known = {"id": name, "name": {"en": name}, "skills": skills, "config": config}
    content = Profession.model_validate_json(json.dumps(known)).to_json()
    return digest_of(content), content


def restarting(instances: Scenario[Instances]) -> Scenario[Instances]:
    return instances.when(RESTART, record_id="restart")


def test_it_ends_its_tasks_then_gets_a_new_worker_in_the_same_room() -> None:
    instances = restarting(working()).then_types(InstanceDraining, InstanceRestarting)
    restarting(instances).then()
    instances.when(VACATED).then(stopping(RESTARTING, "new tools"))
    instances.when(gone()).then(starting(incarnation=2))
    instances.when(started("n1-session", 2))
    assert others(instances.facts) == [ready().model_copy(update={"incarnation": 2})]
    assert deadline(instances) is None


def test_forced_it_does_not_wait_for_its_tasks() -> None:
    force = RESTART.model_copy(update={"force": True})
    instances = working().when(force, record_id="restart")
    assert instances.facts[-1] == stopping(RESTARTING, "new tools")


def test_an_upgrade_gives_it_the_skills_of_the_new_version_and_keeps_its_own() -> None:
    digest, content = profession("qa_engineer", 9)
    accepted = ACCEPTED.model_copy(update={"own_skills": {"patience": 8}})
    instances = given(INSTANCES, accepted, room(), starting(), ready(), blobs={digest: content})
    instances.when(RESTART.model_copy(update={"profession_digest": digest}), record_id="restart")
    instances.when(VACATED)
    instances.when(gone())
    (order,) = instances.facts
    assert isinstance(order, InstanceStarting)
    assert (order.profession_digest, dict(order.skills)) == (digest, {"testing": 9, "patience": 8})
    instances.when(started("n1-session", 2))
    assert isinstance(instances.facts[-1], InstanceReady)
    assert instances.facts[-1].terms == Terms(timeout_multiplier=2.0, quality_threshold=0.9)


@pytest.mark.parametrize(("name", "reason"), [("poet", "is a `qa_engineer`"), ("qa_engineer", "not in the blob store")])
def test_what_is_no_version_of_its_profession_is_refused(name: str, reason: str) -> None:
    digest, content = profession(name, 9)
    blobs = {digest: content} if name == "poet" else {}
    instances = given(INSTANCES, ACCEPTED, room(), starting(), ready(), blobs=blobs)
    instances.when(RESTART.model_copy(update={"profession_digest": digest})).then_types(InstanceRefused)
    assert reason in instances.facts[0].reason  # type: ignore[attr-defined]


def test_one_that_is_about_to_end_and_one_that_is_not_there_are_refused() -> None:
    restarting(working().when(DESTROY)).then_types(InstanceRefused)
    restarting(given(INSTANCES)).then_types(InstanceRefused)


def test_one_that_starts_is_stopped_and_started_anew() -> None:
    instances = restarting(begun()).then_types(InstanceRestarting, type(stopping()))
    instances.when(gone()).then(starting(incarnation=2))


def test_a_worker_that_dies_or_falls_silent_meanwhile_is_followed_by_the_next() -> None:
    restarting(working()).when(gone()).then(starting(incarnation=2))
    instances = restarting(working()).when(silent())
    assert instances.facts[0].status == RESTARTING  # type: ignore[attr-defined]


def test_a_node_that_is_lost_meanwhile_is_followed_by_another() -> None:
    instances = restarting(working()).when(host_lost()).then_types(CapacityRequested)
    request = instances.facts[0]
    assert isinstance(request, CapacityRequested)
    instances.when(granted(request.grant_id, "n2"))
    assert others(instances.facts) == [starting(request.grant_id, "n2", incarnation=2)]


def test_a_start_that_fails_is_tried_elsewhere() -> None:
    instances = restarting(working()).when(VACATED)
    instances.when(gone())
    instances.when(gone(incarnation=2, step="hello"))
    assert instances.facts[0] == released()
    assert isinstance(instances.facts[-1], CapacityRequested)


@pytest.mark.parametrize("vacated", [False, True])
def test_its_end_goes_before_its_restart(vacated: bool) -> None:
    instances = restarting(working())
    if vacated:
        instances.when(VACATED)
    instances.when(DESTROY, record_id="destroy")
    if not vacated:
        instances.when(VACATED).then(stopping())
    instances.when(gone()).then(released(), ended("stopped", "enough"))


def test_a_second_ask_is_answered_too_and_the_last_version_counts() -> None:
    instances = restarting(working()).when(RESTART, record_id="again").then_types(InstanceRestarting)
    assert DRAINING.ask_id == "earlier"
    instances.when(VACATED).then(stopping(RESTARTING, "new tools"))
