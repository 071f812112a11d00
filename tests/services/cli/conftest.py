"""The program as a function of its arguments, on a data directory of the test."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.main import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Clawx = Callable[..., Ended]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where everything is kept."""
    return tmp_path / "data"


@pytest.fixture
def clawx(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clawx:
    """Run a command in this process."""
    for name in [name for name in os.environ if name.startswith("CLAWX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLAWX_DATA", str(data))

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ended(code=code, out=said.out, err=said.err)

    return run
