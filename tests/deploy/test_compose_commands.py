"""Each command of docker-compose.yml is one that the program accepts, and no role is left without its service."""

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from bus.decider import Role
from tests.deploy.compose_file import own_services
from tests.tidy.source_tree import ROOT

PROGRAM = "import sys; from services.cli.main import main; sys.exit(main())"


def clawx(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    closed = subprocess.DEVNULL
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, stdin=closed, check=False)


@pytest.fixture
def command_line() -> None:
    """The program is there."""
    if importlib.util.find_spec("services.cli") is None:
        pytest.xfail("the command line is not written yet")


@pytest.fixture
def topology() -> ModuleType:
    """The one map of all roles."""
    if importlib.util.find_spec("services.topology") is None:
        pytest.xfail("the topology is not written yet")
    return importlib.import_module("services.topology")


def test_every_role_has_a_service_that_compose_starts(topology: ModuleType) -> None:
    services = {role.service for role in _roles(topology)}
    assert services
    assert services <= set(own_services())


@pytest.mark.usefixtures("command_line")
def test_the_program_knows_each_service_that_compose_starts() -> None:
    refused = clawx("service", "nonsense", "--bus", "kafka://127.0.0.1:1")
    assert refused.returncode == 2
    missing = [name for name in own_services() if name not in refused.stderr + refused.stdout]
    assert not missing, f"these are not among the services that `clawx service` offers: {refused.stderr}"


@pytest.mark.usefixtures("command_line")
def test_each_health_check_is_a_command_of_the_program() -> None:
    for service in own_services().values():
        program, command, *options = service["healthcheck"]["test"][1:]
        shown = clawx(command, "--help")
        assert program == "clawx"
        assert shown.returncode == 0, shown.stderr
        assert all(option in shown.stdout for option in options if option.startswith("--"))


def _roles(topology: ModuleType) -> Iterator[Role[object]]:
    for value in vars(topology).values():
        members = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else [value]
        yield from (member for member in members if isinstance(member, Role))
