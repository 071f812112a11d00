"""Whatever is typed wrongly gets a sentence that says what and where, exit code 2, and leaves nothing behind."""

import io
import socket
from pathlib import Path

import pytest

from tests.services.cli.conftest import Clawx

FLOW = """\
id: flow
inputs:
  tree: {type: path, required: true}
  count: {type: integer, default: 3}
stages:
  - id: collect
    profession: data_engineer
    input: [tree, count]
    output: [metrics]
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """A workflow that could run."""
    path = tmp_path / "flow.yaml"
    path.write_text(FLOW)
    return path


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("stages:", "stages: [", 6, "cannot be read as YAML"),
        ("data_engineer", "data_enginer", 7, "`data_enginer` is not known; did you mean `data_engineer`?"),
        ("input:", "inputs:", 8, "the field `inputs` is not known here; did you mean `input`?"),
        ("[tree, count]", "[tree, cuont]", 8, "nobody produces the input `cuont`"),
        ("output: [metrics]", "next: [analyse]", 9, "there is no stage `analyse`"),
    ],
)
def test_a_bad_workflow_is_refused_with_file_line_and_reason(
    clawx: Clawx, flow: Path, data: Path, old: str, new: str, line: int, said: str
) -> None:
    flow.write_text(FLOW.replace(old, new, 1) if old != "input:" else FLOW.replace("    input:", "    inputs:"))
    ended = clawx("run", flow, "--input", "tree=.")
    assert (ended.code, ended.out) == (2, "")
    assert f"{flow}:{line}: " in ended.err
    assert said in ended.err
    assert not data.exists()


@pytest.mark.parametrize(
    ("inputs", "line", "said"),
    [
        ([], 3, "the input `tree` is missing; give it with --input tree=…"),
        (["tree=.", "tre=x"], 3, "the workflow has no input `tre`; did you mean `tree`?"),
        (["tree=/nowhere/at/all"], 3, "the input `tree` names nothing that exists: /nowhere/at/all"),
        (["tree=.", "count=many"], 4, "the input `count` must be JSON, found 'many'"),
        (["tree=.", "count:=1.5"], 4, "the input `count` must be of the type integer, found 1.5"),
        (["tree=.", "count=true"], 4, "the input `count` must be of the type integer, found true"),
        (["tree=.", "count=@nowhere.json"], 4, "the input `count` cannot be read from nowhere.json: No such file"),
    ],
)
def test_a_bad_input_is_refused_with_the_line_that_declares_it(
    clawx: Clawx, flow: Path, data: Path, inputs: list[str], line: int, said: str
) -> None:
    ended = clawx("run", flow, *(part for text in inputs for part in ("--input", text)))
    assert (ended.code, ended.out) == (2, "")
    assert f"{flow}:{line}: {said}" in ended.err
    assert not data.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere.yaml"), "nowhere.yaml cannot be read: No such file or directory"),
        (("run", "FLOW", "--input", "tree"), "--input 'tree' must be name=text, name=@file or name:=JSON"),
        (("run", "FLOW", "--input", "tree=.", "--timeout", "soon"), "--timeout: `soon` is not a length of time"),
        (("run", "FLOW", "-i", "tree=.", "--bus", "redis://x"), "'redis://x' names no log; right would be sqlite:///"),
        (("run", "FLOW", "--bus", "sqlite:///a", "--server", "http://x"), "give one of the two"),
        (("trace", "run-1"), "there is no log at sqlite:///"),
        (("trace", "run-1", "--server", "http://127.0.0.1:9"), "127.0.0.1:9 does not answer"),
        (("service", "router"), "needs a log that many processes share: --bus kafka://HOST:PORT"),
        (("instances", "create", "developer"), "start it with `clawx up`"),
        (("professions", "show", "product_manger"), "did you mean `product_manager`?"),
        (("professions", "match"), "give a TEXT"),
        (("publish", "RunRequestd"), "did you mean RunRequested?"),
        (("publish", "RunEnded"), "only asks and reports may be published"),
        (("log", "tail", "--channel", "tusk"), "there is no channel 'tusk'"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    clawx: Clawx, flow: Path, data: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ended = clawx(*(str(flow) if each == "FLOW" else each for each in arguments))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not data.exists()


def test_an_unknown_service_is_told_with_those_there_are(clawx: Clawx) -> None:
    ended = clawx("service", "nonsense", "--bus", "kafka://127.0.0.1:1")
    assert ended.code == 2
    for name in ("factory", "allocator", "router", "orchestrator", "health", "gateway", "audit", "node"):
        assert name in ended.err


def test_a_variable_of_ours_that_is_none_is_told(clawx: Clawx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWX_SERVRE", "x")
    ended = clawx("workflows", "list")
    assert ended.code == 2
    assert "CLAWX_SERVRE is none of ours" in ended.err


def test_a_broker_that_is_not_there_is_told(clawx: Clawx, flow: Path, data: Path) -> None:
    pytest.importorskip("aiokafka", reason="the Kafka extra is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ended = clawx("run", flow, "-i", "tree=.", "--bus", f"kafka://127.0.0.1:{port}")
    assert (ended.code, ended.out) == (2, "")
    assert f"127.0.0.1:{port}" in ended.err
    assert not data.exists()
