"""The `command` agent: any program that reads its task as JSON on stdin and prints its answer as the last line."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.factory.agents.child import Child, Exit
from services.factory.agents.envelope import ENVELOPE_BYTES_MAX, EnvelopeBroken, parse_envelope, read_envelope
from services.factory.agents.output_file import find_output
from services.factory.agents.port import Assignment, Outcome, Output, failed
from services.factory.agents.printed import Stderr, Stdout

STDOUT = "stdout"
"""Name in the attempt's directory of the file with what the program printed."""

_DRAIN_S = 1.0
"""How long the pipes of a dead program may stay open."""


class CommandBroken(Exception):
    """The stage's parameters name no program; the message is for the author of the workflow."""


class CommandAgent:
    """Runs programs. `children` is shared with whoever collects orphans in this process."""

    def __init__(self, children: set[int]) -> None:
        self._children = children

    async def run(self, assignment: Assignment, progress: Callable[[str], None]) -> Outcome:
        directory = Path(assignment.directory)
        started = time.monotonic()
        try:
            command, parameters = read_command(assignment.parameters)
            child = Child(command, directory, _environment(assignment), self._children)
        except CommandBroken as error:
            return failed(str(error))
        except OSError as error:
            return failed(f"the program cannot be started: {error.strerror}: {error.filename or 'its arguments'}")
        stdout, stderr = Stdout(directory / STDOUT), Stderr(progress)
        ended = await _accompany(child, _task(assignment, parameters), stdout, stderr)
        outcome = judge(ended, stdout, stderr, assignment)
        usage = {"cpu_ms": ended.cpu_ms, "wall_ms": round((time.monotonic() - started) * 1000)}
        return replace(outcome, usage={**usage, **outcome.usage})


def read_command(parameters: str) -> tuple[list[str], dict[str, Any]]:
    """The program with its arguments, and all parameters."""
    found = json.loads(parameters)
    command = found.get("command") if isinstance(found, dict) else None
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise CommandBroken('the stage\'s "with" must hold "command": [program, argument …], all of them texts')
    if any("\0" in part for part in command) or not command[0]:
        raise CommandBroken("the command must start with a program, and no part of it may hold a null character")
    return command, found


def _environment(assignment: Assignment) -> dict[str, str]:
    """All that the program finds in its environment; nothing else of the worker's or the node's goes on."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": assignment.home,
        "TMPDIR": str(Path(assignment.directory) / "tmp"),
    }


def _task(assignment: Assignment, parameters: Mapping[str, Any]) -> bytes:
    deadline = datetime.fromtimestamp(assignment.deadline_ms / 1000, UTC).isoformat(timespec="milliseconds")
    task = {
        "run_id": assignment.run_id,
        "stage": assignment.stage,
        "execution": assignment.execution,
        "task_id": assignment.task_id,
        "attempt_id": assignment.attempt_id,
        "profession": assignment.profession,
        "inputs": {
            name: {"path": each.path, "sha256": each.digest.removeprefix("sha256:"), "media_type": each.media_type}
            for name, each in assignment.inputs.items()
        },
        "outputs": {name: {"path": path} for name, path in assignment.outputs.items()},
        "parameters": parameters,
        "deadline": deadline.replace("+00:00", "Z"),
    }
    return json.dumps(task, ensure_ascii=False).encode(errors="replace") + b"\n"


async def _accompany(child: Child, task: bytes, stdout: Stdout, stderr: Stderr) -> Exit:
    """Give the program its task and follow it to its end; nothing of it is left then, however this ends."""
    following: list[asyncio.Future[None]] = []
    try:
        writer, out, err = await child.open()
        following += map(asyncio.ensure_future, (_feed(writer, task), stdout.follow(out), stderr.follow(err)))
        return await child.wait()
    finally:
        await child.kill()
        await _end_following(following)
        child.close()


async def _end_following(following: Sequence[asyncio.Future[None]]) -> None:
    """Let what was printed be read to its end, which comes at once unless somebody who escaped holds a pipe open."""
    if following:
        await asyncio.wait(following, timeout=_DRAIN_S)
    for each in following:
        each.cancel()
    ends = await asyncio.gather(*following, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _feed(writer: asyncio.StreamWriter, task: bytes) -> None:
    """A program need not read its task."""
    with suppress(BrokenPipeError, ConnectionResetError):
        writer.write(task)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def judge(ended: Exit, stdout: Stdout, stderr: Stderr, assignment: Assignment) -> Outcome:
    """What became of the attempt: exit code and answer must both say ok, and every declared output must be there."""
    try:
        outcome = _answer(stdout, assignment)
        outcome = replace(outcome, outputs=_find_outputs(outcome, assignment))
    except EnvelopeBroken as error:
        outcome = failed(_explain(ended, str(error), stderr))
    if outcome.ok and ended.code:
        outcome = failed(f"the program {_describe(ended)} although its answer says ok{_last(stderr)}")
    elif not outcome.ok and not outcome.error:
        outcome = failed(_explain(ended, "its answer says that it failed, without an error", stderr))
    outputs = outcome.outputs if outcome.ok else _partial_outputs(outcome, assignment)
    if stdout.is_more_than_answer:
        path = str(Path(assignment.directory) / STDOUT)
        outputs = {stdout_name(assignment.stage): Output(path=path, media_type="text/plain"), **outputs}
    return replace(outcome, outputs=outputs)


def stdout_name(stage: str) -> str:
    """Name of the artifact that keeps what the program of a stage printed beyond its answer."""
    return f"{stage}.stdout"


def _answer(stdout: Stdout, assignment: Assignment) -> Outcome:
    if stdout.answer_length > ENVELOPE_BYTES_MAX:
        raise EnvelopeBroken(f"the last line on stdout has {stdout.answer_length} bytes, over {ENVELOPE_BYTES_MAX}")
    if not stdout.answer:
        raise EnvelopeBroken("nothing was printed on stdout; the last line must be the answer as a JSON object")
    return read_envelope(parse_envelope(stdout.answer), assignment.outputs)


def _find_outputs(outcome: Outcome, assignment: Assignment) -> dict[str, Output]:
    """The outputs that the answer names and those that simply are where they should be. Of a success all must be
    there."""
    found = {}
    for name, path in assignment.outputs.items():
        output = outcome.outputs.get(name)
        if output is None and os.path.lexists(path):
            output = Output(path=path)
        if output and output.path is not None:
            output = replace(output, path=str(find_output(Path(assignment.directory), name, output.path)))
        if output:
            found[name] = output
        elif outcome.ok:
            raise EnvelopeBroken(f"the declared output {name!r} is missing: neither the answer has it nor its path")
    return found


def _partial_outputs(outcome: Outcome, assignment: Assignment) -> dict[str, Output]:
    """What there is of the outputs of an attempt that failed; what is not usable is left out."""
    found: dict[str, Output] = {}
    for name, path in assignment.outputs.items():
        with suppress(EnvelopeBroken):
            single = replace(assignment, outputs={name: path})
            found |= _find_outputs(replace(outcome, ok=False), single)
    return found


def _explain(ended: Exit, reason: str, stderr: Stderr) -> str:
    if ended.code == 0:
        return reason + ("" if "stdout" in reason else _last(stderr))
    return f"the program {_describe(ended)}; {reason}{_last(stderr)}"


def _describe(ended: Exit) -> str:
    if ended.code >= 0:
        return f"exited with {ended.code}"
    known = {each.value: each.name for each in signal.Signals}
    return f"was killed by {known.get(-ended.code, -ended.code)}"


def _last(stderr: Stderr) -> str:
    return f"; its last words: {' | '.join(list(stderr.last)[-3:])[:500]}" if stderr.last else ""
