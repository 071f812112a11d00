"""The claude agent against a stand-in that replays the events of `claude -p --output-format stream-json`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.factory.worker.parentage import adopt_orphans
from tests.eventually import eventually
from tests.services.factory.agents.bench import Bench, text_of
from tests.services.factory.agents.fakes import Fake, claude_init, claude_result, claude_words, tell
from tests.services.factory.process_table import find_processes

LIMITED = claude_result(
    "API Error: Request rejected (429) · slow down", is_error=True, api_error_status=429, total_cost_usd=0
)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path / "fake", "claude")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    return made


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    adopt_orphans()
    yield Bench(tmp_path / "home", "claude")
    await eventually(lambda: not find_processes(tmp_path / "home"), what="nothing of the program runs on")
    adopt_orphans(False)


async def test_its_last_event_gives_result_output_and_usage(bench: Bench, fake: Fake) -> None:
    fake.does(tell(claude_init(), claude_words("hm"), claude_result('Good.\n```json\n{"passed": true}\n```')))
    outcome = await bench.run("report", model="claude-x", max_turns=7, allowed_tools=["Bash(git log:*)", "Read"])
    assert outcome.ok, outcome.error
    assert (text_of(outcome, "report"), json.loads(outcome.result)) == ("Good.", {"passed": True})
    assert {"input_tokens": 3210, "output_tokens": 45, "cost_micros": 12_300}.items() <= outcome.usage.items()
    assert '"subtype": "init"' in text_of(outcome, "review.stdout")
    assert (bench.calls.admitted, bench.calls.limits) == (["api.anthropic.com"], [None])
    argv = fake.runs[0]["argv"]
    assert argv[:4] == ["-p", "--output-format", "stream-json", "--verbose"]
    assert " ".join(argv[4:]) == (
        "--permission-mode acceptEdits --model claude-x --max-turns 7 --allowedTools Bash(git log:*),Read"
    )


async def test_what_it_uses_is_told_while_it_works(bench: Bench, fake: Fake) -> None:
    parts = [claude_words("hm"), claude_words("hm, hm"), claude_words("so")]
    for number, (part, used) in enumerate(zip(parts, (5, 9, 20), strict=True)):
        part["message"] |= {"id": f"msg{number // 2}", "usage": {"input_tokens": 100, "output_tokens": used}}
    fake.does(tell(*parts) + "sys.exit(1)")
    await bench.run("report")
    assert bench.calls.usage == {"input_tokens": 200, "output_tokens": 29}


async def test_it_has_a_home_of_its_own_its_profession_and_its_key(bench: Bench, fake: Fake) -> None:
    bench.secrets = {"ANTHROPIC_API_KEY": "key-of-the-test"}
    fake.does("open('outputs/report', 'w').write('by file')\n" + tell(claude_result("done")))
    outcome = await bench.run("report", base_url="http://127.0.0.1:9/anthropic")
    assert text_of(outcome, "report") == "by file"
    run = fake.runs[0]
    state = str(bench.directory / "state")
    environment = run["environment"]
    assert (environment["HOME"], environment["CLAUDE_CONFIG_DIR"]) == (state, f"{state}/claude")
    assert environment["ANTHROPIC_API_KEY"] == "key-of-the-test"
    assert environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9/anthropic"
    assert "key-of-the-test" not in " ".join(run["argv"])
    assert run["cwd"] == str(bench.directory)
    assert "Review the draft." in run["prompt"]
    assert "Test with care." in (bench.directory / "CLAUDE.md").read_text()
    assert bench.calls.admitted == ["127.0.0.1:9"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (tell(claude_result("fine")) + "sys.exit(3)", "exited with 3 although its answer says ok"),
        (tell(claude_result("no way", is_error=True)), "claude failed (success): no way"),
        (tell(claude_result("no way", is_error=True)) + "sys.exit(1)", "no way"),
        (tell(claude_result(None, subtype="error_max_turns")), "claude failed (error_max_turns)"),
        (tell(claude_result(None, subtype="error_during_execution", errors=["a", "b"])), "a; b"),
        (tell(claude_result("fine", is_error="no")), "has no is_error"),
        (tell(claude_result("fine", result=["fine"])), "a result that is no text"),
        (
            tell(claude_init()) + f"print({json.dumps(claude_result('fine'))[:99]!r})",
            "without its event of type result",
        ),
        (tell(claude_init(), claude_words("fine")), "without its event of type result"),
        ("print('Fine!')", "the last line on stdout is Fine!"),
        ("", "nothing was printed on stdout"),
        ("print('why', file=sys.stderr); sys.exit(1)", "exited with 1; nothing was printed on stdout"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        (tell(claude_result("y" * 2_000_000)), "over 1048576"),
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
        "print('Welcome to claude!\\n{not json}\\n[1]')\n" + tell(claude_result("fine")),
        tell(claude_words("x" * 3_000_000), claude_result("fine")),
        "sys.stdout.write(('z' * 999 + '\\n') * 3000)\n" + tell(claude_result("fine")),
        tell(claude_result("fine")) + "print()\nprint('  ')",
    ],
)
async def test_junk_and_floods_around_the_last_event_do_no_harm(bench: Bench, fake: Fake, body: str) -> None:
    fake.does(body)
    outcome = await bench.run("report")
    assert outcome.ok, outcome.error
    assert text_of(outcome, "report") == "fine"


async def test_a_429_slows_the_node_and_it_is_run_again(bench: Bench, fake: Fake) -> None:
    retry = {"type": "system", "subtype": "api_retry", "attempt": 1, "retry_delay_ms": 552, "error_status": 429}
    once = f"if not runs:\n    tell({retry!r})\n    tell({LIMITED!r})\n    sys.exit(1)\n"
    fake.does(once + tell(claude_result("in time")))
    outcome = await bench.run("report")
    assert outcome.ok, outcome.error
    assert bench.calls.limits == [552, 10_000, None]
    assert len(fake.runs) == 2


async def test_what_it_wrote_before_it_failed_is_kept(bench: Bench, fake: Fake) -> None:
    fake.does("open('outputs/report', 'w').write('half')\n" + tell(claude_result("no", is_error=True)) + "sys.exit(1)")
    outcome = await bench.run("report")
    assert not outcome.ok
    assert text_of(outcome, "report") == "half"
    assert outcome.usage["cost_micros"] == 12_300


async def test_one_that_does_not_end_by_itself_is_killed_with_its_children(bench: Bench, fake: Fake) -> None:
    fake.does(
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\n" + tell(claude_init()) + "time.sleep(600)"
    )
    working = asyncio.create_task(bench.run("report"))
    said = bench.directory / "stdout"
    await eventually(lambda: said.exists() and said.stat().st_size > 0, 30, "it has begun")
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert "init" in said.read_text()


async def test_a_program_that_is_not_there_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    outcome = await bench.run("report")
    assert "cannot be started: No such file or directory: claude" in outcome.error


async def test_wrong_parameters_are_named(bench: Bench, fake: Fake) -> None:
    fake.does(tell(claude_result("fine")))
    assert "must be one of acceptEdits" in (await bench.run("report", permission_mode="yolo")).error
    assert "must be a list of texts" in (await bench.run("report", allowed_tools="Read")).error
    assert fake.runs == []
