"""`clawx up` serves every other command on its data directory until it is told to end."""

import json
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bus.channel import partition_number
from tests.eventually import eventually_blocking
from tests.services.cli.conftest import Clawx
from tests.services.cli.program import Program, started

WAITING = """
id: waiting
stages:
  - {id: answer, agent: human, output: [words], next: [go]}
  - {id: go, kind: wait, wait: {signal: go}, next: [judge]}
  - {id: judge, kind: review, input: [words], review: {by: ["role:lead"]}, next: [{to: end, when: result.approved}]}
  - {id: end, kind: end}
"""
ANSWERING = """
id: answering
stages:
  - {id: a, profession: qa_engineer, with: {script: [{expect: {type: request, within: 60s, reply: {answer: 42}}}]}}
"""
TICK = "id: tick\nstages: [{id: stop, kind: end, end: {status: completed}}]\n"
SLOW = "id: slow\nstages: [{id: a, profession: developer, with: {script: [{delay: 60s}]}}]\n"
POET = """
profession:
  id: poet
  name: {en: Poet}
  skills: [{name: verse, level: 7}]
"""
POEM = "id: poem\nstages: [{id: write, profession: poet, output: [poem]}]\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the one system that all tests here use."""
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run where the test writes its files."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def system(data: Path) -> Iterator[Program]:
    """A system that runs, and has printed where; in the end it is told to end, and does."""
    with started("up", "--json", "--port", "0", data=data) as program:
        eventually_blocking(lambda: program.lines or program.process.poll() is not None, 120, "the URL and the key")
        assert program.lines, program.said
        yield program
        program.interrupt(signal.SIGTERM)
        assert program.end() == 0, program.said
        assert len(program.lines) == 1


def test_up_prints_the_url_and_a_key_that_is_kept_for_its_owner(system: Program, data: Path) -> None:
    found = json.loads(system.lines[0])
    assert set(found) == {"url", "key"}
    assert (data / "key").read_text().strip() == found["key"]
    assert stat.S_IMODE((data / "key").stat().st_mode) == 0o600


def test_a_second_up_is_told_in_one_sentence_where_the_first_is(system: Program, clawx: Clawx) -> None:
    second = clawx("up")
    assert second.code == 2
    assert second.err.count("\n") == 1
    assert f"--server {json.loads(system.lines[0])['url']}" in second.err


def test_a_person_is_asked_a_signal_awaited_and_a_review_voted_on(system: Program, data: Path, clawx: Clawx) -> None:
    Path("waiting.yaml").write_text(WAITING)
    with started("run", str(Path("waiting.yaml").absolute()), "--json", data=data) as running:
        task = _appears(clawx, "tasks", "list")
        answered = clawx("tasks", "answer", task["task_id"], "--output", "words=roses are red")
        assert answered.code == 0, answered.err
        run_id = task["run_id"]
        eventually_blocking(lambda: "  go: waiting: for the signal go" in running.said)
        wrong = clawx("workflows", "signal", run_id, "stop")
        assert (wrong.code, wrong.err.count("\n")) == (1, 1)
        assert "no stage of" in wrong.err
        right = clawx("workflows", "signal", run_id, "go", "--json")
        assert json.loads(right.out) == {"run_id": run_id, "signal": "go", "stage": "go"}
        review = _appears(clawx, "reviews", "list")
        assert [read["name"] for read in review["subject"]] == ["words"]
        vote = ("reviews", "vote", review["review_id"], "--approve", "--reviewer", "ann")
        assert clawx(*vote).code == 1
        counted = clawx(*vote, "--role", "role:lead")
        assert counted.code == 0, counted.err
        assert running.end() == 0, running.said
    found = running.last_json()
    assert [each["id"] for each in found["stages"]] == ["answer", "go", "judge", "end"]
    assert Path(found["outputs"]["words"]["path"]).read_text() == "roses are red"


def _appears(clawx: Clawx, *command: str) -> Any:
    """The first line of what a command lists, once there is one."""
    line = eventually_blocking(lambda: clawx(*command, "--json").out.partition("\n")[0], what=" ".join(command))
    return json.loads(line)


def test_a_message_is_sent_answered_and_listed(system: Program, data: Path, clawx: Clawx) -> None:
    Path("answering.yaml").write_text(ANSWERING)
    with started("run", str(Path("answering.yaml").absolute()), "--json", data=data) as running:
        request = ("messages", "send", "profession:qa_engineer", '{"n": 6}', "--type", "request", "--ack", "--wait")
        asked = clawx(*request, "--expires-in", "10m", "--json")
        assert asked.code == 0, asked.err
        assert json.loads(asked.out)["answer"] == {"answer": 42}
        assert running.end() == 0, running.said
    listed = [json.loads(line) for line in clawx("messages", "list", "--json").out.splitlines()]
    assert [(each["message_type"], each["status"]) for each in listed] == [("request", "received"), ("reply", "kept")]
    run_id = running.last_json()["run_id"]
    (reply,) = clawx("messages", "list", "--run", run_id, "--json").out.splitlines()
    assert json.loads(reply)["message_type"] == "reply"
    trace = clawx("trace", run_id).out
    assert "MessageSent  reply from" in trace
    for wrong in (("bob", "x", "--type", "gossip"), ("bob", "x", "--expires-in", "soon")):
        found = clawx("messages", "send", *wrong)
        assert (found.code, found.err.count("\n")) == (2, 1)
    refused = clawx("messages", "send", "room:one", "x")
    assert (refused.code, "is no address" in refused.err) == (1, True)


def test_a_schedule_starts_runs_until_it_is_paused(system: Program, clawx: Clawx) -> None:
    Path("tick.yaml").write_text(TICK)
    made = clawx(
        "schedules", "create", "tick.yaml", "--every", "1s", "--overlap", "queue", "--tag", "team=red", "--json"
    )
    assert made.code == 0, made.err
    assert json.loads(made.out)["schedule_id"] == "tick"

    def done() -> Any:
        row = json.loads(clawx("schedules", "show", "tick", "--json").out)
        ended = [start["run_id"] for start in row["starts"] if start["status"] == "completed"]
        return ended if len(ended) >= 2 else None

    run_ids = eventually_blocking(done, 40, "two runs by the clock")
    trace = clawx("trace", run_ids[0]).out
    assert "ScheduledRunRequested" in trace.splitlines()[0], "the trace begins with what started the run"
    listed = [
        json.loads(line) for line in clawx("workflows", "list", "--tag", "schedule=tick", "--json").out.splitlines()
    ]
    assert set(run_ids) <= {each["run_id"] for each in listed}
    for change in ("pause", "resume", "trigger", "delete"):
        changed = clawx("schedules", change, "tick", "--json")
        assert changed.code == 0, changed.err
    assert "tick" not in clawx("schedules", "list").out
    again = clawx("schedules", "pause", "tick")
    assert (again.code, "has no schedule tick" in again.err) == (1, True)
    for wrong in (("--cron", "61 * * * *"), ("--every", "soon"), (), ("--every", "1s", "--time-zone", "Mars")):
        found = clawx("schedules", "create", "tick.yaml", *wrong)
        assert (found.code, found.err.count("\n")) == (2, 1), found.err


def test_instances_are_made_listed_and_ended(system: Program, clawx: Clawx) -> None:
    made = clawx("instances", "create", "architect", "--name", "ada", "--json")
    assert made.code == 0, made.err
    instance = json.loads(made.out)
    assert (instance["status"], instance["profession"]) == ("ready", "software_architect")
    assert made.out in clawx("instances", "list", "--json").out
    ended = clawx("instances", "destroy", "ada", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["status"] == "stopped"
    assert instance["instance_id"] not in clawx("instances", "list").out
    unknown = clawx("instances", "create", "architekt")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)


def test_a_profession_is_added_and_used(system: Program, clawx: Clawx) -> None:
    Path("poet.yaml").write_text(POET)
    Path("poem.yaml").write_text(POEM)
    early = clawx("run", "poem.yaml")
    assert early.code == 2
    assert "the profession `poet` is not known" in early.err
    added = json.loads(clawx("professions", "add", "poet.yaml", "--json").out)
    assert (added["id"], added["version"]) == ("poet", 1)
    ended = clawx("run", "poem.yaml", "--json")
    assert ended.code == 0, ended.err
    assert "poem" in json.loads(ended.out)["outputs"]


def test_a_run_is_started_watched_from_the_log_and_cancelled(system: Program, data: Path, clawx: Clawx) -> None:
    Path("slow.yaml").write_text(SLOW)
    run_id = json.loads(clawx("workflows", "start", "slow.yaml", "--json").out)["run_id"]
    with started("log", "tail", "--type", "RunEnded", "--json", data=data) as tail:
        cancelled = clawx("workflows", "cancel", run_id, "--reason", "enough", "--json")
        assert json.loads(cancelled.out) == {"run_id": run_id, "status": "cancelled"}
        eventually_blocking(lambda: any('"enough"' in line for line in tail.lines), what="the end of the run")
        tail.interrupt()
        assert tail.end() == 0
    assert clawx("workflows", "cancel", run_id).code == 2


async def test_what_is_published_by_hand_is_answered(system: Program) -> None:
    url, key = json.loads(system.lines[0]).values()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        body = {"workspace_id": "w", "run_id": "run-nowhere"}
        async with http.post(f"{url}/api/v1/records/RunCancelRequested", params={"id": "hand"}, json=body) as answer:
            assert answer.status == 201
            assert (await answer.json())["position"].startswith(f"task/{partition_number('w', 8)}/")
        params = {"channel": "task", "types": "AskRefused", "key": "w"}
        async with http.get(f"{url}/api/v1/records", params=params) as stream:
            refused = json.loads(await stream.content.readline())
    assert refused["record"]["ask_id"] == "hand"
    assert "has no run run-nowhere" in refused["record"]["reason"]
