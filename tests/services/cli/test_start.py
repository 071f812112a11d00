"""The program answers at once: what a command needs is loaded when the command runs."""

import subprocess
import sys

from tests.services.cli.conftest import Clawx
from tests.tidy.source_tree import ROOT

HEAVY = {"aiohttp", "aiokafka", "apsw", "fastapi", "fastavro", "jsonschema", "pydantic", "rich", "uvicorn", "yaml"}


def test_nothing_heavy_is_loaded_before_a_command_runs() -> None:
    program = "import sys, services.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def test_help_names_every_command(clawx: Clawx) -> None:
    ended = clawx("--help")
    assert ended.code == 0
    for command in ("up", "service", "run", "workflows", "instances", "professions", "trace", "publish", "doctor"):
        assert f"\n  {command} " in ended.out


def test_a_mistyped_command_is_told_and_is_wrong_use(clawx: Clawx) -> None:
    ended = clawx("rnu")
    assert (ended.code, ended.out) == (2, "")
    assert "rnu" in ended.err
