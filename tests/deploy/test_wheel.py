"""An installed wheel has everything that the clone has: code, professions, schemas."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.source_tree import ROOT, files

# Where the parts of the clone that travel are in the wheel.
TRAVELS = {"bus/": "bus/", "services/": "services/", "schemas/": "services/records/schemas/"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel of this clone, built with the locked build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = Path(folder).glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_the_wheel_has_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    expected = {
        there + name.removeprefix(here) for here, there in TRAVELS.items() for name in files() if name.startswith(here)
    }
    assert expected
    assert expected <= set(wheel.namelist())


def test_the_wheel_brings_nothing_else_and_the_command(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bus", "services"}
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "clawx = services.cli.main:main" in wheel.read(entry_points).decode()
