"""docker-compose.yml starts what there is to start, and nothing that is not."""

import re
from typing import Any

import pytest

from tests.brokers import kafka_container, postgres_source
from tests.deploy.compose_file import compose, own_services

WANTED = {"orchestrator", "router", "allocator", "factory", "health", "gateway", "audit"}
KAFKA = "kafka://kafka:9092"


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", names or sorted(compose()["services"]))


def test_each_service_of_the_design_has_one_command_of_one_image() -> None:
    assert set(own_services()) == WANTED
    assert len({service["image"] for service in own_services().values()}) == 1
    for name, service in own_services().items():
        assert service["command"][:4] == ["service", name, "--bus", KAFKA]


@every(*sorted(WANTED))
def test_a_service_starts_when_the_broker_serves_clients(name: str) -> None:
    assert own_services()[name]["depends_on"]["kafka"] == {"condition": "service_healthy"}


def test_the_broker_is_where_the_services_look_for_it() -> None:
    environment = compose()["services"]["kafka"]["environment"]
    assert "PLAINTEXT://kafka:9092" in environment["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert "PLAINTEXT://:9092" in environment["KAFKA_LISTENERS"].split(",")
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


@every()
def test_a_service_has_limits_and_a_health_check_and_is_started_again(name: str) -> None:
    service = compose()["services"][name]
    assert {"cpus", "mem_limit", "pids_limit"} <= set(service)
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"


@every()
def test_what_is_kept_is_in_a_named_volume(name: str) -> None:
    mounted = [volume.split(":")[0] for volume in compose()["services"][name]["volumes"]]
    assert mounted
    assert set(mounted) <= set(compose()["volumes"])


def test_nothing_listens_beyond_this_machine() -> None:
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_secret_stands_in_the_file() -> None:
    environments = [service.get("environment", {}) for service in compose()["services"].values()]
    secrets = [str(value) for environment in environments for name, value in environment.items() if _is_secret(name)]
    assert secrets
    assert all(re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in secrets)


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("PASSWORD", "SECRET", "KEY"))


def test_the_images_are_those_that_the_tests_run_on() -> None:
    services: dict[str, Any] = compose()["services"]
    assert services["kafka"]["image"] == kafka_container.IMAGE
    assert services["postgres"]["image"] == postgres_source.IMAGE
