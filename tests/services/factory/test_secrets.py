"""Secrets reach the agents that may have them, and nothing that outlives an attempt."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.factory.secrets import Secrets, SecretUnknown
from services.records.node import WorkerStarted
from services.records.task import TaskCompleted, TaskFailed
from services.records.telemetry import WorkerOutput
from tests.eventually import eventually
from tests.services.factory.world import World

VALUE = 'pa"ss-of-the-test-7c1f'
FILED = "key-in-a-file-of-the-test-99"

PROGRAM = """
import json, os, sys, time
a, b = os.environ["A"], os.environ["B"]
print("to stdout", a, flush=True)
print("to stderr", a, b, file=sys.stderr, flush=True)
open("outputs/small", "w").write("small " + b)
open("outputs/large", "w").write("x" * 100_000 + a)
while not os.path.exists("go"): time.sleep(0.01)
ok = sys.argv[1] == "good"
print(json.dumps({"ok": ok, "error": "" if ok else "bad " + a, "result": {"a": a},
                  "outputs": {"text": {"text": "text " + a}}}))
sys.exit(0 if ok else 1)
"""


@pytest.fixture
def key_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KEY_OF_TEST", VALUE)
    file = tmp_path_factory.mktemp("keys") / "key"
    file.write_text(FILED + "\n")
    return str(file)


def command_lines() -> Iterator[bytes]:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield place.read_bytes()
        except OSError:
            continue


def files_with(directory: Path, value: str) -> list[str]:
    escaped = json.dumps(value)[1:-1]
    contents = {str(place): place.read_bytes() for place in directory.rglob("*") if place.is_file()}
    return [name for name, data in contents.items() if value.encode() in data or escaped.encode() in data]


@pytest.mark.parametrize("end", ["good", "bad"])
async def test_no_secret_is_in_a_record_a_log_or_an_argument_list(
    tmp_path: Path, key_file: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="services")
    async with World.open(tmp_path) as world, world.node(secrets=("KEY_OF_TEST", key_file)):
        order = await world.start(agent="command")
        secrets = {"A": {"env": "KEY_OF_TEST"}, "B": {"file": key_file}}
        parameters = {"command": [sys.executable, "-I", "-c", PROGRAM, end], "secrets": secrets}
        assigned = await world.assign(order, parameters=parameters, outputs=("small", "large", "text"))
        line = await world.first(WorkerOutput, attempt_id=assigned.attempt_id)
        assert line.line == "to stderr [secret] [secret]"
        directory = next((tmp_path / "node-n1" / "instances").glob("*/attempts/*"))
        lines = list(command_lines())
        assert any(PROGRAM.encode() in each for each in lines), "the program is found"
        assert not [each for each in lines if VALUE.encode() in each or FILED.encode() in each]
        (directory / "go").touch()
        ended = await world.end_of(assigned)
        assert isinstance(ended, TaskCompleted if end == "good" else TaskFailed)
        found = {each.name: each for each in ended.outputs}
        assert found["small"].inline == b"small [secret]"
        assert (await world.blobs.get(found["large"].digest)).endswith(b"xx[secret]")
        assert b"to stdout [secret]" in (found["s1.stdout"].inline or b"")
        if isinstance(ended, TaskFailed):
            assert ended.reason == "bad [secret]"
        await eventually(lambda: not directory.exists(), what="the attempt's directory is cleared")
        for value in (VALUE, FILED):
            assert not files_with(tmp_path, value), "log, blob store, journal"
            assert value not in caplog.text
            assert not [each for each in world.heard if value in repr(each)]
    assert await _is_clean(tmp_path)


async def _is_clean(directory: Path) -> bool:
    return not files_with(directory, VALUE) and not files_with(directory, FILED)


async def test_what_a_killed_attempt_leaves_is_without_secrets_too(tmp_path: Path, key_file: str) -> None:
    async with World.open(tmp_path) as world, world.node(secrets=("KEY_OF_TEST", key_file)):
        order = await world.start(agent="command")
        secrets = {"A": {"env": "KEY_OF_TEST"}, "B": {"file": key_file}}
        parameters = {"command": [sys.executable, "-I", "-c", PROGRAM, "good"], "secrets": secrets}
        assigned = await world.assign(order, parameters=parameters, outputs=("small", "large", "text"))
        await world.first(WorkerOutput, attempt_id=assigned.attempt_id)
        outputs = next((tmp_path / "node-n1" / "instances").glob("*/attempts/*/outputs"))
        await eventually(lambda: (outputs / "large").exists() and (outputs / "large").stat().st_size > 100_000)
        await world.stop(order)
        ended = await world.end_of(assigned)
        assert isinstance(ended, TaskFailed)
        assert {each.name: each.inline for each in ended.outputs}["small"] == b"small [secret]"
        assert await _is_clean(tmp_path)


async def test_other_programs_and_other_instances_see_no_secret(tmp_path: Path, key_file: str) -> None:
    async with World.open(tmp_path) as world, world.node(secrets=("KEY_OF_TEST", key_file)):
        order = await world.start(agent="command")
        program = "import json, os; print(json.dumps({'ok': True, 'result': {'names': sorted(os.environ)}}))"
        assigned = await world.assign(order, parameters={"command": [sys.executable, "-I", "-c", program]}, outputs=())
        ended = await world.end_of(assigned)
        assert isinstance(ended, TaskCompleted)
        assert "KEY_OF_TEST" not in json.loads(ended.result)["names"]
        assert (await world.first(WorkerStarted)).instance_id == "i1"


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({"A": {"env": "HOME"}}, "hands out no secret 'HOME'"),
        ({"A": {"file": "/etc/shadow"}}, "hands out no secret '/etc/shadow'"),
        ({"A": {"env": "NOT_THERE"}}, "'NOT_THERE' is not there"),
        ({"A": "sk-123456"}, "never a value"),
        ({"A": {"value": "sk-123456"}}, "never a value"),
        ({"A": {"env": "/etc/shadow"}}, "never a value"),
        ({"PATH": {"env": "KEY_OF_TEST"}}, "no secret can be in the variable 'PATH'"),
        ({"a b": {"env": "KEY_OF_TEST"}}, "no secret can be in the variable 'a b'"),
        ([], "must say for each variable"),
    ],
)
def test_only_what_the_node_hands_out_can_be_had(secrets: object, words: str) -> None:
    own = Secrets(("KEY_OF_TEST", "NOT_THERE"), {"KEY_OF_TEST": VALUE, "HOME": "/root"})
    with pytest.raises(SecretUnknown, match=words.replace("(", r"\(")):
        own.read(own.find(json.dumps({"secrets": secrets}), ()))


def test_a_key_under_the_name_that_an_agent_expects_needs_no_mention() -> None:
    own = Secrets(("OPENAI_API_KEY",), {"OPENAI_API_KEY": VALUE})
    assert own.read(own.find("{}", ("OPENAI_API_KEY", "OTHER"))) == {"OPENAI_API_KEY": VALUE}
    assert Secrets((), {"OPENAI_API_KEY": VALUE}).find("{}", ("OPENAI_API_KEY",)) == {}
