"""README, Makefile and CI name the same commands."""

import re

import pytest

from tests.tidy.source_tree import ROOT

TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
CALL = re.compile(r"(?:^|`)\s*make ([a-z][a-z-]*)\b", re.MULTILINE)
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


@pytest.fixture(scope="module")
def targets() -> set[str]:
    """What can be made."""
    return set(TARGET.findall((ROOT / "Makefile").read_text()))


def test_every_make_command_of_the_readme_exists(targets: set[str]) -> None:
    named = {name for code in CODE.findall((ROOT / "README.md").read_text()) for name in CALL.findall(code)}
    assert {"run", "test"} <= named
    assert named <= targets


def test_ci_makes_only_what_exists_and_runs_the_tests(targets: set[str]) -> None:
    named = set(CALL.findall((ROOT / ".ci" / "run").read_text()))
    assert "test" in named
    assert named <= targets


def test_every_target_says_what_it_is_for(targets: set[str]) -> None:
    explained = re.findall(r"^([a-z-]+):.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets == set(explained)
