"""Two versions of the code are compared by what each makes of the same log."""

import json
import sys
from pathlib import Path

import pytest

from tests.services.audit.recorded import Recorded
from tests.services.cli.conftest import Clawx
from tests.tidy.source_tree import ROOT

CHANGED = """
import services.orchestrator.ending as ending
ending.retry_at = lambda *arguments: 0
"""


def version(directory: Path, text: str, *, ends: str = "sys.exit(main(sys.argv[1:]))") -> Path:
    """A `clawx` of another version."""
    path = directory / "clawx-other"
    head = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom services.cli.main import main\n"
    path.write_text(f"{head}{text}\n{ends}\n")
    path.chmod(0o755)
    return path


def test_a_version_that_decides_the_same_does_not_differ(clawx: Clawx, recorded: Recorded, tmp_path: Path) -> None:
    same = version(tmp_path, "")
    assert clawx("diff", "--code", same, "--data", recorded.data).code == 0
    ended = clawx("diff", f"run:{recorded.chain}", "--code", same, "--data", recorded.data)
    assert (ended.code, ended.out) == (0, "")


def test_each_decision_that_another_version_would_take_otherwise_is_printed(
    clawx: Clawx, recorded: Recorded, tmp_path: Path
) -> None:
    ended = clawx("diff", "--code", version(tmp_path, CHANGED), "--data", recorded.data, "--json")
    assert ended.code == 1
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert all("orchestrator.runs" in line["path"] for line in lines)
    decided = [fact for line in lines for fact in line.get("right", [])]
    assert {"StageEnded", "RunEnded"} <= {fact["type"] for fact in decided}


def test_a_state_that_another_version_folds_otherwise_is_shown(
    clawx: Clawx, recorded: Recorded, tmp_path: Path
) -> None:
    other = version(tmp_path, "", ends='print(\'{"state": null, "run": {"status": "odd"}}\')')
    ended = clawx("diff", f"run:{recorded.chain}", "--code", other, "--data", recorded.data, "--json")
    assert ended.code == 1
    assert '"path": "run.status", "left": "completed", "right": "odd"' in ended.out


@pytest.mark.parametrize(
    ("ends", "said"),
    [("print('hello')", "printed something else than JSON"), ("sys.exit(2)", "ended with 2"), (None, "cannot be run")],
)
def test_what_is_no_other_version_is_told(
    clawx: Clawx, recorded: Recorded, tmp_path: Path, ends: str | None, said: str
) -> None:
    other = tmp_path / "nowhere" if ends is None else version(tmp_path, "", ends=ends)
    ended = clawx("diff", f"run:{recorded.chain}", "--code", other, "--data", recorded.data)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert clawx("diff", "run:a", "run:b", "--code", other, "--data", recorded.data).code == 2
