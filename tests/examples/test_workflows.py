"""What holds for every example: its workflow is sound, its command in the README can be typed as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from services.definitions.catalogue import shipped_catalogue
from services.definitions.validation import validate
from services.definitions.workflow import read_workflow
from tests.examples.chain import EXAMPLES, load_workflow, run_stage

WORKFLOWS = sorted(EXAMPLES.glob("*/workflow.yaml"))
COMMANDS = re.findall(r"`(clawx run [^`]+)`", (EXAMPLES / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_a_workflow_has_neither_errors_nor_warnings(path: Path) -> None:
    source = read_workflow(path.read_bytes(), str(path))
    assert validate(source, shipped_catalogue().levels()) == ()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_a_command_names_a_program_beside_the_workflow(path: Path) -> None:
    workflow = read_workflow(path.read_bytes(), str(path)).workflow
    for stage in workflow.stages:
        if stage.kind == "task":
            interpreter, program, *arguments = stage.parameters["command"]
            assert interpreter == "python3"
            assert (path.parent / program).is_file()
            # The command line makes paths of what is a file there.
            assert not any((path.parent / argument).exists() for argument in arguments)


def test_the_readme_has_one_command_for_each_example_and_its_files_are_there() -> None:
    named = [shlex.split(command) for command in COMMANDS]
    assert sorted(words[2] for words in named) == [str(path.relative_to(EXAMPLES.parent)) for path in WORKFLOWS]
    for words in named:
        given = words[words.index("--input") + 1].partition("=")[2]
        assert (EXAMPLES.parent / given.removeprefix("@")).exists()


def test_outputs_say_what_they_are(tmp_path: Path) -> None:
    """By that the command line gives them names that a desktop opens."""
    (tmp_path / "notes").write_text("# Title\none: A text.\n", encoding="utf-8")
    example = EXAMPLES / "content_team"
    answer = run_stage(example, load_workflow(example).stages[0], {"notes": tmp_path / "notes"}, tmp_path / "run")
    assert answer.envelope["outputs"]["outline"]["media_type"] == "application/json"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_the_command_stands_in_the_workflow_too(path: Path) -> None:
    command = next(command for command in COMMANDS if f"examples/{path.parent.name}/" in command)
    assert f"# {command}\n" in path.read_text(encoding="utf-8")
