"""The model agent against an endpoint of our own: what it asks, what it may touch, and what it makes of failures."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest

from services.factory.worker.parentage import adopt_orphans
from tests.eventually import eventually
from tests.services.factory.agents.bench import Bench, text_of
from tests.services.factory.agents.endpoint import (
    Act,
    Endpoint,
    call,
    cut,
    garble,
    hang,
    refuse,
    say,
    serving,
)
from tests.services.factory.process_table import find_processes

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openai") is None, reason="the extra `model` is not installed: pip install -e '.[model]'"
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    adopt_orphans()
    yield Bench(tmp_path, "model")
    await eventually(lambda: not find_processes(tmp_path), what="nothing of the program runs on")
    adopt_orphans(False)


def tool_results(endpoint: Endpoint) -> list[str]:
    return [m["content"] for m in endpoint.requests[-1].body["messages"] if m["role"] == "tool"]


async def test_its_answer_is_the_output_and_the_block_at_its_end_the_result(bench: Bench) -> None:
    answer = 'All is well.\n\n```json\n{"passed": true, "quality": 0.9}\n```'
    with serving(say(answer)) as endpoint:
        outcome = await bench.run("report", model="m1", base_url=endpoint.url, input_price=2, output_price=10)
    assert outcome.ok, outcome.error
    assert text_of(outcome, "report") == "All is well."
    assert json.loads(outcome.result) == {"passed": True, "quality": 0.9}
    assert outcome.quality == 0.9
    assert {"input_tokens": 100, "output_tokens": 7, "cost_micros": 270}.items() <= outcome.usage.items()
    assert bench.calls.usage == {"input_tokens": 100, "output_tokens": 7, "cost_micros": 270}
    assert bench.calls.admitted == [f"127.0.0.1:{endpoint.port}"]
    assert text_of(outcome, "review.stdout").startswith(answer)


async def test_it_is_told_its_profession_the_task_and_the_inputs(bench: Bench) -> None:
    bench.secrets = {"OPENAI_API_KEY": "key-of-the-test"}
    with serving(say("fine")) as endpoint:
        await bench.run("report", model="m1", base_url=endpoint.url, temperature=0.5, max_tokens=99)
    request = endpoint.requests[0]
    system, user = request.body["messages"]
    assert "Tess the tester" in system["content"]
    assert "Test with care" in system["content"]
    assert "Review the draft." in user["content"]
    assert "the draft says 17" in user["content"]
    assert "outputs/report" in user["content"]
    assert request.headers["authorization"] == "Bearer key-of-the-test"
    assert (request.body["model"], request.body["stream"]) == ("m1", True)
    assert (request.body["temperature"], request.body["max_completion_tokens"]) == (0.5, 99)
    assert [tool["function"]["name"] for tool in request.body["tools"]] == ["list_files", "read_file", "write_file"]


async def test_it_works_with_files_and_usage_adds_up(bench: Bench) -> None:
    read = ("read_file", json.dumps({"path": "inputs/draft"}))
    write = ("write_file", json.dumps({"path": "outputs/report", "content": "seventeen\n"}))
    look = ("list_files", "{}")
    with serving(call(look, read), call(write), say('{"passed": false}')) as endpoint:
        outcome = await bench.run("report", model="m", base_url=endpoint.url)
    assert outcome.ok, outcome.error
    assert bench.written("report") == "seventeen\n"
    assert json.loads(outcome.result) == {"passed": False}
    assert outcome.usage["input_tokens"] == 300
    listed, draft, written = tool_results(endpoint)
    assert {"inputs/", "outputs/"} <= set(listed.splitlines())
    assert (draft, written) == ("the draft says 17\n", "10 bytes written")
    assert "list_files {}" in bench.lines


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("read_file", {"path": "/etc/passwd"}, "leads out of the workspace"),
        ("read_file", {"path": "../../profession.json"}, "leads out of the workspace"),
        ("read_file", {"path": "out-link"}, "no file of the workspace"),
        ("read_file", {"path": "dir-link/passwd"}, "no directory of the workspace"),
        ("list_files", {"path": "dir-link"}, "no directory of the workspace"),
        ("write_file", {"path": "out-link", "content": "x"}, "no file of the workspace"),
        ("write_file", {"path": "dir-link/x", "content": "x"}, "no directory of the workspace"),
        ("write_file", {"path": "inputs/draft", "content": "x"}, "cannot be written"),
        ("read_file", {"path": "pipe"}, "no regular file"),
        ("read_file", {"path": 3}, "must be texts"),
        ("read_file", "{", "no JSON"),
        ("run", {"path": "x"}, "there is no tool 'run'"),
    ],
)
async def test_nothing_outside_its_directory_can_be_touched(
    bench: Bench, name: str, arguments: object, words: str
) -> None:
    (bench.directory / "out-link").symlink_to("/etc/passwd")
    (bench.directory / "dir-link").symlink_to("/etc")
    os.mkfifo(bench.directory / "pipe")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    with serving(call((name, text)), say("sorry")) as endpoint:
        outcome = await bench.run("report", model="m", base_url=endpoint.url)
    assert outcome.ok, outcome.error
    assert tool_results(endpoint)[0].startswith("error: ")
    assert words in tool_results(endpoint)[0]
    assert (bench.directory / "inputs" / "draft").read_text() == "the draft says 17\n"


@pytest.mark.parametrize("broken", [cut("half of"), garble(), refuse(503), refuse(500, "boom", Retry_After="0.1")])
async def test_what_passes_is_tried_again(bench: Bench, broken: Act) -> None:
    with serving(broken, say("whole")) as endpoint:
        outcome = await bench.run("report", model="m", base_url=endpoint.url)
    assert outcome.ok, outcome.error
    assert bench.written("report") == "whole"
    assert len(endpoint.requests) == 2
    assert bench.calls.limits == [None, None]


@pytest.mark.parametrize(
    ("headers", "pause_ms"),
    [({"Retry_After": "0.7"}, 700), ({"retry_after_ms": "250", "Retry_After": "9"}, 250)],
)
async def test_a_429_slows_the_node_and_is_tried_again(bench: Bench, headers: dict[str, str], pause_ms: int) -> None:
    with serving(refuse(429, "slow down", **headers), say("in time")) as endpoint:
        outcome = await bench.run("report", model="m", base_url=endpoint.url)
    assert outcome.ok, outcome.error
    assert bench.calls.limits == [pause_ms, None]
    assert len(bench.calls.admitted) == 2


async def test_a_429_may_name_a_date(bench: Bench) -> None:
    with serving(refuse(429, Retry_After=formatdate(time.time() + 100, usegmt=True)), say("later")) as endpoint:
        outcome = await bench.run("report", model="m", base_url=endpoint.url)
    assert outcome.ok
    assert 30_000 < (bench.calls.limits[0] or 0) <= 100_000


@pytest.mark.parametrize(
    ("acts", "words"),
    [
        ([refuse(401, "bad key")], "answered with 401"),
        ([refuse(404, "no such model")], "no such model"),
        ([refuse(429, "you are out of money", "insufficient_quota")], "out of money"),
        ([refuse(500, "boom", Retry_After="0")] * 5, "answered with 500"),
        ([say("half", "length")], "did not end its answer by itself: length"),
        ([call(("list_files", "{}"))] * 2, "still calling tools after 2 turns"),
        ([say("")], "the declared output 'report' is missing"),
    ],
)
async def test_what_does_not_pass_fails_with_one_sentence(bench: Bench, acts: list[Act], words: str) -> None:
    with serving(*acts) as endpoint:
        outcome = await bench.run("report", model="m", base_url=endpoint.url, max_turns=2)
    assert not outcome.ok
    assert words in outcome.error
    assert "\n" not in outcome.error
    assert len(acts) - 1 <= len(endpoint.requests) <= len(acts)  # a connection that breaks is a failure, too


async def test_a_slow_stream_is_no_broken_one_but_a_silent_one_is(bench: Bench) -> None:
    with serving(hang(3), say("slow but sure", pause_s=0.3)) as endpoint:
        outcome = await bench.run("report", model="m", base_url=endpoint.url, timeout_seconds=1)
    assert outcome.ok, outcome.error
    assert len(endpoint.requests) == 2


async def test_stopped_it_leaves_what_was_said_so_far(bench: Bench) -> None:
    with serving(hang(60)) as endpoint:
        working = asyncio.create_task(bench.run("report", model="m", base_url=endpoint.url))
        said = bench.directory / "stdout"
        await eventually(lambda: said.exists() and "thinking" in said.read_text(), 30, "the model says something")
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert "thinking" in said.read_text()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, 'needs a "model"'),
        ({"model": 3}, "'model' of the agent model must be a text"),
        ({"model": "m", "max_turns": -1}, "a whole number from 0"),
        ({"model": "m", "modle": "m"}, "knows no parameter 'modle'"),
    ],
)
async def test_wrong_parameters_are_named(bench: Bench, parameters: dict[str, object], words: str) -> None:
    outcome = await bench.run("report", **parameters)
    assert not outcome.ok
    assert words in outcome.error


def test_dead_endpoints_are_given_up() -> None:
    from services.factory.agents.model.patience import backoff_s

    waits = [backoff_s(times) for times in range(1, 60)]
    assert all(0.3 < wait < 40 for wait in waits)
