"""The image is built from files that exist, by hash, and runs as nobody special."""

import fnmatch

import pytest

from tests.deploy.compose_file import copied, dockerfile, own_services
from tests.tidy.source_tree import ROOT


@pytest.mark.parametrize("name", copied())
def test_what_the_image_is_built_from_exists(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", copied())
def test_what_the_image_is_built_from_reaches_the_builder(name: str) -> None:
    kept = [line[1:] for line in _ignored() if line.startswith("!")]
    assert any(fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern}/") for pattern in kept)


def test_compose_builds_from_this_recipe() -> None:
    for service in own_services().values():
        assert service["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile"}


def test_the_dependencies_are_installed_by_hash() -> None:
    assert "--require-hashes --no-deps -r requirements/run.lock" in dockerfile()


def test_the_image_runs_the_command_as_an_unprivileged_user() -> None:
    lines = dockerfile().splitlines()
    assert 'ENTRYPOINT ["clawx"]' in lines
    user = next(line.split()[1] for line in reversed(lines) if line.startswith("USER"))
    assert user not in {"root", "0"}
    mounted = {volume.split(":")[1] for service in own_services().values() for volume in service["volumes"]}
    assert mounted == {next(line.split()[1] for line in reversed(lines) if line.startswith("WORKDIR"))}


def _ignored() -> list[str]:
    return (ROOT / ".dockerignore").read_text().splitlines()
