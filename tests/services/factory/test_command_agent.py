"""The command agent runs real programs: its exit code and its answer must both say ok, and all of it is ended."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.factory.agents.command import CommandDialect
from services.factory.agents.port import Assignment, Input, Outcome
from services.factory.agents.program import ProgramAgent
from services.factory.worker.liaison import NodeLiaison
from services.factory.worker.parentage import adopt_orphans
from tests.eventually import eventually
from tests.services.factory.process_table import find_processes, find_zombies

ANSWER = "print(json.dumps({'ok': True, 'result': {'n': 1}, 'outputs': {'out': {'text': 'hi'}}}))"


def read_output(outcome: Outcome, name: str) -> str:
    return Path(outcome.outputs[name].path or "").read_text()


class Place:
    """An attempt's directory, and the agent that works in it."""

    def __init__(self, home: Path) -> None:
        self.home, self.directory = home, home / "attempts" / "a1"
        for name in ("inputs", "outputs", "tmp"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "inputs" / "draft").write_text("read me")
        self.lines: list[str] = []
        self.agent = ProgramAgent(CommandDialect, set(), NodeLiaison(lambda **_: None))

    def assignment(self, parameters: object) -> Assignment:
        return Assignment(
            run_id="r",
            stage="write",
            execution=1,
            item=-1,
            ordinal=1,
            task_id="t",
            attempt_id="a1",
            profession="qa_engineer",
            agent="command",
            parameters=json.dumps(parameters),
            inputs={"draft": Input(digest="sha256:" + "ab" * 32, path=str(self.directory / "inputs" / "draft"))},
            outputs={"out": str(self.directory / "outputs" / "out")},
            deadline_ms=1_700_000_000_500,
            home=str(self.home),
            directory=str(self.directory),
        )

    async def run(self, *program: str) -> Outcome:
        text = "\n".join(("import json, os, sys, time", *program))
        return await self.run_command([sys.executable, "-I", "-c", text])

    async def run_command(self, command: object, **parameters: Any) -> Outcome:
        return await self.agent.run(self.assignment({"command": command, **parameters}), self.lines.append)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    adopt_orphans()  # as a worker does, so that what escapes a program stays below this process
    yield Place(tmp_path)
    await eventually(lambda: not find_processes(tmp_path), what="nothing of the program runs on")
    await eventually(lambda: not find_zombies(), what="every child is collected")
    adopt_orphans(False)


async def test_a_program_reads_its_task_and_answers(place: Place) -> None:
    outcome = await place.run(
        "task = json.load(sys.stdin)",
        "print('thinking', file=sys.stderr)",
        "text = open(task['inputs']['draft']['path']).read() + json.dumps(task)",
        "open(task['outputs']['out']['path'], 'w').write(text)",
        "print(json.dumps({'ok': True, 'result': {'n': 1}, 'quality': 0.5, 'usage': {'input_tokens': 3}}))",
    )
    assert outcome.ok, outcome.error
    assert json.loads(outcome.result) == {"n": 1}
    assert (outcome.quality, outcome.usage["input_tokens"]) == (0.5, 3)
    assert outcome.usage["cpu_ms"] >= 0
    assert outcome.usage["wall_ms"] > 0
    assert place.lines == ["thinking"]
    written = read_output(outcome, "out")
    assert written.startswith("read me{")
    task = json.loads(written.removeprefix("read me"))
    assert set(task) == {
        *("run_id", "stage", "execution", "task_id", "attempt_id", "profession"),
        *("inputs", "outputs", "messages", "parameters", "deadline"),
    }
    assert task["inputs"]["draft"]["sha256"] == "ab" * 32
    assert task["deadline"] == "2023-11-14T22:13:20.500Z"


async def test_a_program_sees_four_variables_and_its_own_directory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    outcome = await place.run(
        "print(json.dumps({'ok': True, 'outputs': {'out': {'text': ''}},"
        " 'result': {'environment': dict(os.environ), 'cwd': os.getcwd(), 'session': os.getsid(0) == os.getpid()}}))"
    )
    result = json.loads(outcome.result)
    environment = {name: value for name, value in result["environment"].items() if name != "LC_CTYPE"}
    assert set(environment) == {"PATH", "LANG", "HOME", "TMPDIR"}
    assert environment["HOME"] == str(place.home)
    assert environment["TMPDIR"] == str(place.directory / "tmp")
    assert (result["cwd"], result["session"]) == (str(place.directory), True)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("pass", "nothing was printed on stdout"),
        ("print('done')", "must be the answer as a JSON object, found done"),
        (ANSWER + "; print('bye')", "must be the answer as a JSON object, found bye"),
        ('print(\'{"ok": true, "res\')', "cut off or garbled"),
        ("print('[1]')", "must be a JSON object"),
        ("print(json.dumps({'ok': True, 'result': {'x': 'y' * 2_000_000}}))", "bytes, over 1048576"),
        ("print(json.dumps({'ok': 'yes'}))", '"ok" must be true or false'),
        ("print(json.dumps({'ok': True}))", "the declared output 'out' is missing"),
        ("print(json.dumps({'ok': True, 'outputs': {'out': {'path': 'nowhere'}}}))", "there is no file nowhere"),
        ("print(json.dumps({'ok': True, 'outputs': {'out': {'path': '/etc/passwd'}}}))", "leads out of"),
        ("print(json.dumps({'ok': True, 'outputs': {'out': {'path': '../../..'}}}))", "leads out of"),
        ("print(json.dumps({'ok': True, 'outputs': {'out': {'path': 'tmp'}}}))", "no regular file"),
        ("print(json.dumps({'ok': True, 'outputs': {'out': {'path': 'a\\0b'}}}))", "leads to no file"),
        ("os.symlink('/etc/passwd', 'outputs/out'); print(json.dumps({'ok': True}))", "leads out of"),
        ("os.symlink('out', 'outputs/out'); print(json.dumps({'ok': True}))", "leads to no file"),
        ("os.mkfifo('outputs/out'); print(json.dumps({'ok': True}))", "no regular file"),
        ("print(json.dumps({'ok': True, 'outputs': {'other': {'text': ''}}}))", "declares no output 'other'"),
        (ANSWER + "; sys.exit(3)", "the program exited with 3 although its answer says ok"),
        ("print('why', file=sys.stderr); sys.exit(3)", "the program exited with 3; nothing was printed"),
        ("os.kill(os.getpid(), 11)", "the program was killed by SIGSEGV"),
        ("print(json.dumps({'ok': False, 'error': 'no network'}))", "no network"),
        ("print(json.dumps({'ok': False, 'error': 'no network'})); sys.exit(1)", "no network"),
        ("print(json.dumps({'ok': False}))", "says that it failed, without an error"),
    ],
)
async def test_each_broken_answer_gives_one_clear_error(place: Place, program: str, words: str) -> None:
    outcome = await place.run(program)
    assert not outcome.ok
    assert words in outcome.error
    assert "\n" not in outcome.error


async def test_the_last_words_of_a_failing_program_are_told(place: Place) -> None:
    outcome = await place.run("print('first', file=sys.stderr); print('disk is full', file=sys.stderr); sys.exit(3)")
    assert "its last words: first | disk is full" in outcome.error
    assert place.lines == ["first", "disk is full"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (None, '"command": [program, argument …]'),
        ([], '"command": [program, argument …]'),
        ("ls", '"command": [program, argument …]'),
        (["ls", 3], '"command": [program, argument …]'),
        ([""], "must start with a program"),
        (["a\0b"], "null character"),
        (["no-such-program-here"], "cannot be started: No such file or directory: no-such-program-here"),
        (["/etc/passwd"], "cannot be started: Permission denied: /etc/passwd"),
    ],
)
async def test_a_command_that_cannot_be_started_says_why(place: Place, command: object, words: str) -> None:
    outcome = await place.run_command(command)
    assert not outcome.ok
    assert words in outcome.error


async def test_what_was_printed_beyond_the_answer_is_kept(place: Place) -> None:
    outcome = await place.run("print('one'); print('two')", ANSWER)
    assert outcome.ok
    printed = read_output(outcome, "write.stdout").splitlines()
    assert printed[:2] == ["one", "two"]
    assert "write.stdout" not in (await place.run(ANSWER)).outputs


async def test_a_flood_on_stdout_is_kept_within_its_limit_and_the_answer_found(place: Place) -> None:
    outcome = await place.run(
        "sys.stdout.write('x' * 99 + '\\n')", "sys.stdout.write(('y' * 999 + '\\n') * 5000)", ANSWER
    )
    assert outcome.ok, outcome.error
    assert len(read_output(outcome, "write.stdout")) == 1024 * 1024


async def test_outputs_of_a_failed_program_are_kept(place: Place) -> None:
    outcome = await place.run("open('outputs/out', 'w').write('half'); sys.exit(1)")
    assert not outcome.ok
    assert read_output(outcome, "out") == "half"


async def test_a_program_need_not_read_its_task(place: Place) -> None:
    outcome = await place.run_command(
        [sys.executable, "-I", "-c", f"import json, os; os.close(0); {ANSWER}"], filler="x" * 1_000_000
    )
    assert outcome.ok, outcome.error


DAEMON = """
def leave(seconds):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir('/')
            os.execvpe('sleep', ['sleep', seconds], {'PATH': os.environ['PATH'], 'TMPDIR': os.environ['TMPDIR']})
        os._exit(0)
    os.wait()
leave('31.4151')
"""


async def test_what_a_program_leaves_running_ends_with_it_though_it_holds_the_pipes(place: Place) -> None:
    outcome = await place.run(DAEMON, ANSWER, "sys.stdout.flush()")
    assert outcome.ok, outcome.error
    assert not find_processes(place.home, "31.4151")


async def test_a_cancelled_program_is_asked_to_end_and_then_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.factory.agents.child.TERMINATE_MS", 100)
    running = asyncio.create_task(
        place.run(
            DAEMON,
            "import signal",
            "signal.signal(signal.SIGTERM, lambda *_: os.write(2, b'asked\\n'))",
            "os.write(2, b'there\\n')",
            "while True: time.sleep(60)",
        )
    )
    await eventually(lambda: "there" in place.lines)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert place.lines == ["there", "asked"]
    assert not find_processes(place.home, "31.4151")


async def test_a_line_that_only_looks_like_a_message_is_the_answer(place: Place) -> None:
    outcome = await place.run(
        "print('{\"message\"')",
        "print(json.dumps({'message': 'done', 'ok': True, 'outputs': {'out': {'text': 'hi'}}}))",
    )
    assert outcome.ok, outcome.error
    assert outcome.outputs["out"].text == "hi"
