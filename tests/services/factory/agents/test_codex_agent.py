"""The codex agent against a stand-in that replays the events of `codex exec --json`."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.factory.worker.parentage import adopt_orphans
from tests.eventually import eventually
from tests.services.factory.agents.bench import Bench, text_of
from tests.services.factory.agents.fakes import (
    Fake,
    codex_begin,
    codex_completed,
    codex_failed,
    codex_words,
    tell,
)
from tests.services.factory.process_table import find_processes

GOOD = tell(*codex_begin(), codex_words("thinking", "reasoning"), codex_words("fine"), codex_completed())
LIMIT = "exceeded retry limit, last status: 429 Too Many Requests"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path / "fake", "codex")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    return made


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    adopt_orphans()
    yield Bench(tmp_path / "home", "codex")
    await eventually(lambda: not find_processes(tmp_path / "home"), what="nothing of the program runs on")
    adopt_orphans(False)


async def test_its_last_message_is_the_answer_once_its_turn_is_completed(bench: Bench, fake: Fake) -> None:
    fake.does(tell(*codex_begin(), codex_words('Good.\n```json\n{"passed": true}\n```'), codex_completed()))
    outcome = await bench.run("report")
    assert outcome.ok, outcome.error
    assert (text_of(outcome, "report"), json.loads(outcome.result)) == ("Good.", {"passed": True})
    assert {"input_tokens": 500, "output_tokens": 20}.items() <= outcome.usage.items()
    argv = fake.runs[0]["argv"]
    assert argv == ["exec", "--json", "--skip-git-repo-check", "--sandbox", "workspace-write", "-"]
    assert bench.calls.admitted == ["api.openai.com"]


async def test_its_configuration_names_the_endpoint_and_never_the_key(bench: Bench, fake: Fake) -> None:
    bench.secrets = {"CODEX_API_KEY": "key-of-the-test"}
    fake.does(GOOD)
    url = 'http://127.0.0.1:9/"v1"'
    await bench.run("report", model="gpt-x", base_url=url, sandbox="danger-full-access")
    home = bench.directory / "state" / "codex"
    config = tomllib.loads((home / "config.toml").read_text())
    provider = config["model_providers"]["given"]
    assert (config["model"], config["approval_policy"], config["model_provider"]) == ("gpt-x", "never", "given")
    assert (provider["base_url"], provider["env_key"]) == (url, "CODEX_API_KEY")
    assert "key-of-the-test" not in (home / "config.toml").read_text()
    environment = fake.runs[0]["environment"]
    assert (environment["CODEX_HOME"], environment["CODEX_API_KEY"]) == (str(home), "key-of-the-test")
    assert environment["HOME"] == str(bench.directory / "state")
    assert "Test with care." in (bench.directory / "AGENTS.md").read_text()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (GOOD + "sys.exit(3)", "exited with 3 although its answer says ok"),
        (tell(*codex_begin(), *codex_failed("unexpected status 401 Unauthorized")), "401 Unauthorized"),
        (tell(*codex_begin(), *codex_failed("no")) + "sys.exit(1)", "codex failed: no"),
        (GOOD + tell(*codex_failed("and then it broke")), "codex failed: and then it broke"),
        (tell(*codex_begin(), codex_words("fine")), "without its event turn.completed"),
        (tell(*codex_begin()) + 'print(\'{"type": "turn.compl\')', "without its event turn.completed"),
        ("print('fine')", "the last line on stdout is fine"),
        ("", "nothing was printed on stdout"),
        ("print('why', file=sys.stderr); sys.exit(2)", "its last words: why"),
        (tell(*codex_begin(), {"type": "turn.failed"}), "without a word"),
        (tell(*codex_begin(), codex_words(""), codex_completed()), "the declared output 'report' is missing"),
        (tell(*codex_begin()) + "print('x' * 2_000_000)", "over 1048576"),
    ],
)
async def test_each_broken_envelope_gives_one_clear_error(bench: Bench, fake: Fake, body: str, words: str) -> None:
    fake.does(body)
    outcome = await bench.run("report")
    assert not outcome.ok
    assert words in outcome.error
    assert "\n" not in outcome.error
    assert len(fake.runs) == 1


@pytest.mark.parametrize(
    "body",
    [
        "print('junk\\n{\\n[]\\nnull')\n" + GOOD,
        "sys.stdout.write(('z' * 999 + '\\n') * 3000)\n" + GOOD,
        tell(*codex_begin(), {"type": "error", "message": "Reconnecting... 1/5 (unexpected status 503)"}) + GOOD,
        tell({"type": "item.completed", "item": None}, {"type": "turn.completed", "usage": None}) + GOOD,
        tell(*codex_begin(), codex_words("fine", "assistant_message"), codex_completed()),
    ],
)
async def test_junk_floods_and_errors_that_passed_do_no_harm(bench: Bench, fake: Fake, body: str) -> None:
    fake.does(body)
    outcome = await bench.run("report")
    assert outcome.ok, outcome.error
    assert text_of(outcome, "report") == "fine"


async def test_a_429_slows_the_node_and_it_is_run_again(bench: Bench, fake: Fake) -> None:
    once = "".join(f"    tell({event!r})\n" for event in codex_failed(LIMIT))
    fake.does(f"if not runs:\n{once}    sys.exit(1)\n" + GOOD)
    outcome = await bench.run("report")
    assert outcome.ok, outcome.error
    assert bench.calls.limits == [10_000, 10_000, 10_000, None]
    assert len(fake.runs) == 2


async def test_wrong_parameters_are_named(bench: Bench, fake: Fake) -> None:
    fake.does(GOOD)
    assert "must be one of workspace-write" in (await bench.run("report", sandbox="none")).error
    assert "knows no parameter 'effort'" in (await bench.run("report", effort="high")).error
