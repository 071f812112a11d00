"""A program that works on an attempt, whatever it speaks: started, followed to its end, and judged."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from services.factory.agents.child import Child, Exit
from services.factory.agents.conversation import Conversation
from services.factory.agents.envelope import EnvelopeBroken
from services.factory.agents.line import VARIABLE
from services.factory.agents.line_end import LineEnd
from services.factory.agents.mailbox import Mailbox
from services.factory.agents.output_file import find_output
from services.factory.agents.port import Assignment, Liaison, Outcome, Output, failed
from services.factory.agents.printed import Stderr, Stdout

STDOUT = "stdout"
"""Name in the attempt's directory of the file with what the program printed."""

_DRAIN_S = 1.0
"""How long the pipes of a dead program may stay open."""


class CommandBroken(Exception):
    """The stage's parameters cannot be worked with; the message is for the author of the workflow."""


class Dialect(Protocol):
    """One attempt of one program: how it is told its work, and how its answer is understood."""

    stdin: bytes
    has_line: bool  # to its worker, for programs of ours
    provider: str  # whom it calls, where it does not say so over a line itself; empty for nobody

    @property
    def spent(self) -> Mapping[str, int]:
        """What it has used so far, as far as the lines heard tell; empty where it tells so itself."""
        ...

    @property
    def command(self) -> Sequence[str]: ...

    @property
    def environment(self) -> Mapping[str, str]: ...

    def hear(self, line: bytes) -> int | None:
        """A whole line on stdout; for how many milliseconds it says that the provider wants no calls, if it does."""
        ...

    def conclude(self, stdout: Stdout) -> Outcome:
        """What it says became of the attempt; raises EnvelopeBroken where it says nothing that can be understood.
        The files of outputs are not looked at."""
        ...


class RateLimited(Exception):
    """The program gave up because its provider wants fewer calls; it may be run again after `pause_ms`."""

    def __init__(self, pause_ms: int) -> None:
        super().__init__(f"the provider wants fewer calls, the next one in {pause_ms} ms")
        self.pause_ms = pause_ms


class ProgramAgent:
    """Runs programs. `converse` makes the dialect of an attempt and lays down what the program needs, or raises
    CommandBroken; `children` is shared with whoever collects orphans in this process."""

    def __init__(self, converse: Callable[[Assignment], Dialect], children: set[int], liaison: Liaison) -> None:
        self._converse, self._children, self._liaison = converse, children, liaison

    async def run(self, assignment: Assignment, progress: Callable[[str], None]) -> Outcome:
        return await self._run(assignment, progress, None)

    async def _run(
        self, assignment: Assignment, progress: Callable[[str], None], talking: Conversation | None
    ) -> Outcome:
        started = time.monotonic()
        while True:
            try:
                outcome = await self._run_once(assignment, progress, talking)
            except CommandBroken as error:
                return failed(str(error))
            except OSError as error:
                return failed(f"the program cannot be started: {error.strerror}: {error.filename or 'its arguments'}")
            except RateLimited as limit:
                progress(str(limit))
                continue
            wall_ms = round((time.monotonic() - started) * 1000)
            return replace(outcome, usage={"wall_ms": wall_ms, **outcome.usage})

    async def _run_once(
        self, assignment: Assignment, progress: Callable[[str], None], talking: Conversation | None
    ) -> Outcome:
        """Raises RateLimited, once the node knows of it."""
        dialect = self._converse(assignment)
        attempt_id = assignment.attempt_id
        if dialect.provider:
            await self._liaison.admit(attempt_id, dialect.provider)
        limited_ms = None
        try:
            return await self._converse_with(dialect, assignment, progress, talking)
        except RateLimited as limit:
            limited_ms = limit.pause_ms
            raise
        finally:
            if dialect.provider:
                self._liaison.answered(attempt_id, dialect.provider, limited_ms)

    async def _converse_with(
        self, dialect: Dialect, assignment: Assignment, progress: Callable[[str], None], talking: Conversation | None
    ) -> Outcome:
        directory = Path(assignment.directory)
        attempt_id = assignment.attempt_id

        told: dict[str, int] = {}

        def hear(line: bytes) -> None:
            if (limited_ms := dialect.hear(line)) is not None:
                self._liaison.answered(attempt_id, dialect.provider, limited_ms)
            if dialect.spent != told:
                told.update(dialect.spent)
                self._liaison.used(attempt_id, told)

        if talking:
            talking.open(directory)
        skip = talking.hear if talking else None
        stdout, stderr = Stdout(directory / STDOUT, hear, skip), Stderr(progress)
        line = LineEnd(self._liaison, attempt_id) if dialect.has_line else None
        try:
            child = self._start(dialect, directory, line)
            ended = await _accompany(child, dialect.stdin, stdout, stderr, talking)
        finally:
            if line:
                await line.close()
        outcome = judge(ended, dialect, stdout, stderr, assignment)
        return replace(outcome, usage={"cpu_ms": ended.cpu_ms, **outcome.usage})

    def _start(self, dialect: Dialect, directory: Path, line: LineEnd | None) -> Child:
        if line is None:
            return Child(dialect.command, directory, dialect.environment, self._children)
        number = line.its.fileno()
        environment = {**dialect.environment, VARIABLE: str(number)}
        child = Child(dialect.command, directory, environment, self._children, (number,))
        line.begin()
        return child


class TalkingProgramAgent(ProgramAgent):
    """Runs programs that write to other instances, and read what those write."""

    async def talk(self, assignment: Assignment, progress: Callable[[str], None], mailbox: Mailbox) -> Outcome:
        return await self._run(assignment, progress, Conversation(mailbox, progress))


def surround(assignment: Assignment, home: str, **more: str) -> dict[str, str]:
    """All that a program finds in its environment; nothing else of the worker's or the node's goes on."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": home,
        "TMPDIR": str(Path(assignment.directory) / "tmp"),
        **(_point_to(assignment.proxy, assignment.direct) if assignment.proxy else {}),
        **assignment.secrets,
        **more,
    }


def _point_to(proxy: str, direct: str) -> dict[str, str]:
    """The variables by which programs find a proxy; Node.js heeds them only when it is told to."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)
    return {**proxies, "NO_PROXY": direct, "no_proxy": direct, "NODE_USE_ENV_PROXY": "1"}


async def _accompany(child: Child, task: bytes, stdout: Stdout, stderr: Stderr, talking: Conversation | None) -> Exit:
    """Give the program its task and follow it to its end; nothing of it is left then, however this ends."""
    following: list[asyncio.Future[None]] = []
    writing = asyncio.ensure_future(talking.write()) if talking else None
    try:
        writer, out, err = await child.open()
        following += map(asyncio.ensure_future, (_feed(writer, task), stdout.follow(out), stderr.follow(err)))
        return await child.wait()
    finally:
        if writing:
            writing.cancel()
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


def judge(ended: Exit, dialect: Dialect, stdout: Stdout, stderr: Stderr, assignment: Assignment) -> Outcome:
    """What became of the attempt: exit code and answer must both say ok, and every declared output must be there."""
    try:
        outcome = dialect.conclude(stdout)
        outcome = replace(outcome, outputs=_find_outputs(outcome, assignment))
    except EnvelopeBroken as error:
        outcome = failed(_explain(ended, str(error), stderr))
    if outcome.ok and ended.code:
        words = f"the program {_describe(ended)} although its answer says ok{_last(stderr)}"
        outcome = replace(failed(words), usage=outcome.usage)
    elif not outcome.ok and not outcome.error:
        words = _explain(ended, "its answer says that it failed, without an error", stderr)
        outcome = replace(failed(words), usage=outcome.usage)
    outputs = outcome.outputs if outcome.ok else _partial_outputs(outcome, assignment)
    if stdout.is_more_than_answer:
        path = str(Path(assignment.directory) / STDOUT)
        outputs = {stdout_name(assignment.stage): Output(path=path, media_type="text/plain"), **outputs}
    return replace(outcome, outputs=outputs)


def stdout_name(stage: str) -> str:
    """Name of the artifact that keeps what the program of a stage printed beyond its answer."""
    return f"{stage}.stdout"


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
