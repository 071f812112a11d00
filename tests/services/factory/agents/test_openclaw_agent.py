"""The openclaw agent: the real package against a model endpoint of our own, and a stand-in for what it may print."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.factory.agents.openclaw import find_absence
from services.factory.drivers import bubblewrap
from services.factory.worker.parentage import adopt_orphans
from services.records.task import TaskCompleted
from tests.eventually import eventually
from tests.services.factory.agents.bench import Bench, text_of
from tests.services.factory.agents.endpoint import call, hang, refuse, say, serving
from tests.services.factory.agents.fakes import Fake, tell
from tests.services.factory.process_table import find_processes
from tests.services.factory.world import World

SEARCH = os.environ.get("CLAWX_TEST_OPENCLAW_PATH", "") or os.environ["PATH"]
"""Where `openclaw`, and a `node` that it can run on, are looked for."""

ABSENCE = find_absence(SEARCH)
needs_openclaw = pytest.mark.skipif(
    bool(ABSENCE), reason=f"{ABSENCE}; npm install openclaw, and name its place in CLAWX_TEST_OPENCLAW_PATH"
)

GOOD: dict[str, Any] = {
    "ok": True,
    "status": "ok",
    "final": "fine",
    "payloads": [{"text": "fine", "mediaUrl": None}],
    "usage": {"input": 111, "output": 7, "cacheRead": 5, "cacheWrite": 0, "total": 123, "cost": {"total": 0.000125}},
    "costUsd": 0.000125,
    "assistantTurns": 1,
    "model": "m",
    "provider": "given",
    "sessionId": "s1",
}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    adopt_orphans()
    yield Bench(tmp_path / "home", "openclaw")
    await eventually(lambda: not find_processes(tmp_path / "home"), 30, "nothing of the program runs on")
    adopt_orphans(False)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path / "fake", "openclaw")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    return made


def read_json(place: str) -> Any:
    return json.loads(Path(place).read_text())


def files_with(directory: Path, value: bytes) -> list[Path]:
    files = [place for place in directory.rglob("*") if place.is_file() and not place.is_symlink()]
    assert files, "there is something to look through"
    return [place for place in files if value in place.read_bytes()]


async def test_its_configuration_is_its_own_and_names_the_key(bench: Bench, fake: Fake) -> None:
    bench.secrets = {"OPENAI_API_KEY": "key-of-the-test"}
    fake.does(tell(GOOD))
    outcome = await bench.run("report", model="m", base_url="http://127.0.0.1:9/v1", input_price=2)
    assert outcome.ok, outcome.error
    assert text_of(outcome, "report") == "fine"
    assert {"input_tokens": 116, "output_tokens": 7, "cost_micros": 125}.items() <= outcome.usage.items()
    run = fake.runs[0]
    config = read_json(run["environment"]["OPENCLAW_CONFIG_PATH"])
    provider = config["models"]["providers"]["given"]
    assert (provider["baseUrl"], provider["apiKey"]) == ("http://127.0.0.1:9/v1", "${OPENAI_API_KEY}")
    assert provider["models"][0]["cost"]["input"] == 2
    assert run["environment"]["OPENAI_API_KEY"] == "key-of-the-test"
    assert Path(run["environment"]["OPENCLAW_STATE_DIR"]).is_relative_to(bench.directory)
    assert "key-of-the-test" not in " ".join(run["argv"])
    assert (bench.directory / "SOUL.md").read_text() == "# Tess the tester\n"
    assert "Review the draft." in run["prompt"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (tell(GOOD) + "sys.exit(3)", "exited with 3 although its answer says ok"),
        (tell({"ok": False, "error": {"message": "bad key", "kind": "auth"}}) + "sys.exit(1)", "bad key"),
        (tell({"ok": False, "status": "timeout"}), "openclaw failed: timeout"),
        (tell({"ok": "yes"}), "neither ok nor not ok"),
        (tell({"ok": True}), "has no final text"),
        ("print('{\"ok\": true, ')", "without its answer as a JSON object"),
        ("print('fine')", "the last line on stdout is fine"),
        ("", "nothing was printed on stdout"),
        ("print('x' * 3_000_000)", "over 1048576"),
    ],
)
async def test_each_broken_envelope_gives_one_clear_error(bench: Bench, fake: Fake, body: str, words: str) -> None:
    fake.does(body)
    outcome = await bench.run("report", model="m")
    assert not outcome.ok
    assert words in outcome.error
    assert "\n" not in outcome.error


@pytest.mark.parametrize("body", ["print('junk\\n{broken')\n" + tell(GOOD), f"print(json.dumps({GOOD!r}, indent=2))"])
async def test_its_answer_may_come_after_junk_and_over_many_lines(bench: Bench, fake: Fake, body: str) -> None:
    fake.does(body)
    outcome = await bench.run("report", model="m")
    assert outcome.ok, outcome.error


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{SEARCH}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.openclaw
@needs_openclaw
@pytest.mark.timeout(300)
async def test_the_real_package_works_with_tools_and_counts(bench: Bench, real: None) -> None:
    bench.secrets = {"OPENAI_API_KEY": "key-of-the-test"}
    write = ("write", json.dumps({"path": "outputs/report", "content": "by openclaw"}))
    with serving(call(write), say('Done.\n```json\n{"passed": true}\n```')) as endpoint:
        outcome = await bench.run("report", model="stub-1", base_url=endpoint.url, input_price=1, output_price=2)
    assert outcome.ok, outcome.error
    assert text_of(outcome, "report") == "by openclaw"
    assert json.loads(outcome.result) == {"passed": True}
    assert {"input_tokens": 200, "output_tokens": 14, "cost_micros": 228}.items() <= outcome.usage.items()
    request = endpoint.requests[0]
    assert request.headers["authorization"] == "Bearer key-of-the-test"
    system = json.dumps(request.body["messages"][0])
    assert "Tess the tester" in system
    assert "Test with care." in system
    assert "Review the draft." in json.dumps(request.body["messages"])
    assert files_with(bench.directory, b"key-of-the-test") == [], "its state holds no key"


@pytest.mark.openclaw
@needs_openclaw
@pytest.mark.timeout(300)
async def test_the_real_package_says_why_a_model_refuses(bench: Bench, real: None) -> None:
    with serving() as endpoint:
        endpoint.otherwise = lambda _: refuse(401, "bad key")
        outcome = await bench.run("report", model="stub-1", base_url=endpoint.url)
    assert not outcome.ok
    assert "openclaw failed" in outcome.error


@pytest.mark.openclaw
@needs_openclaw
@pytest.mark.timeout(300)
async def test_the_real_package_ends_when_it_is_told_to(bench: Bench, real: None) -> None:
    with serving() as endpoint:
        endpoint.otherwise = lambda _: hang(600)
        working = asyncio.create_task(bench.run("report", model="stub-1", base_url=endpoint.url))
        await eventually(lambda: endpoint.requests, 120, "it asks the model")
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working


def test_an_old_node_is_told(tmp_path: Path) -> None:
    assert "openclaw is not there" in find_absence(str(tmp_path))
    for name, words in (("openclaw", ""), ("node", "echo v20.20.2")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / name).chmod(0o755)
    search = os.pathsep.join((str(tmp_path), str(Path(shutil.which("sh") or "/bin/sh").parent)))
    assert "24.16" in find_absence(search)


@pytest.mark.openclaw
@needs_openclaw
@pytest.mark.skipif(bool(bubblewrap.find_absence()), reason=bubblewrap.find_absence() or "there")
@pytest.mark.timeout(300)
async def test_the_real_package_works_in_a_sandbox(tmp_path: Path, real: None) -> None:
    write = ("write", json.dumps({"path": "outputs/out", "content": "from inside"}))
    with serving(call(write), say("Done.")) as endpoint:
        host = f"127.0.0.1:{endpoint.port}"
        async with World.open(tmp_path) as world, world.node(hosts=(host,), model_url=endpoint.url):
            order = await world.start(agent="openclaw", driver="bubblewrap")
            assigned = await world.assign(order, parameters={"model": "stub-1"}, instructions="Test it.")
            end = await world.end_of(assigned, timeout_s=240)
    assert isinstance(end, TaskCompleted), end
    assert {each.name: each.inline for each in end.outputs}["out"] == b"from inside"
    assert "QA" in json.dumps(endpoint.requests[0].body["messages"][0]), "the profession that ships under its id"
