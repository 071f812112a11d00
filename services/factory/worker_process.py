"""A worker process as its node sees it: frames over a socket, and an end that takes the whole tree along."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from services.factory.agents.envelope import EnvelopeBroken, read_envelope, read_usage
from services.factory.agents.mailbox import MessageBroken, read_draft
from services.factory.agents.port import FAILURES, Assignment, failed
from services.factory.agents.program import stdout_name
from services.factory.background import Background
from services.factory.drivers.launching import Launching
from services.factory.drivers.port import WorkerFailed, WorkerPlan
from services.factory.worker.confinement import Confinement
from services.factory.worker.frames import FRAME_BYTES_MAX, read_frame, write_assignment, write_frame
from services.factory.worker.launcher import PRINTED

logger = logging.getLogger(__name__)


ASKING_MAX = 256
"""So many calls of one worker may wait for leave at once."""

PROVIDER_CHARS_MAX = 200


class FrameBroken(Exception):
    """A frame that is none of those a worker may send."""


class WorkerProcess:
    """One worker started by the launcher."""

    needs_files = True

    def __init__(
        self,
        plan: WorkerPlan,
        launching: Launching,
        confinement: Confinement,
        limits: tuple[str, ...],
        background: Background,
    ) -> None:
        self._plan, self._launching, self._background = plan, launching, background
        self._confinement = confinement
        self.limits = limits
        self.pid = self.born = 0
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._said_hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._declared: dict[str, set[str]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._following: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._answered = True

    async def start(self, start_timeout_ms: int) -> None:
        """Start the process and hear its hello. Raises WorkerFailed; nothing is left of it then."""
        mine, its = socket.socketpair()
        with its:
            mine.setblocking(False)
            try:
                self.pid, self.born, ended = await self._launching.start(
                    self._plan.worker_id, self._plan.directory, its, self._confinement
                )
            except BaseException:
                mine.close()
                raise
        ended.add_done_callback(self._end)
        reader, self._writer = await asyncio.open_unix_connection(sock=mine, limit=FRAME_BYTES_MAX)
        self._following = self._background.start(self._follow(reader))
        try:
            await self._wait_for_hello(start_timeout_ms)
        except WorkerFailed:
            await self.close()
            raise

    async def _wait_for_hello(self, timeout_ms: int) -> None:
        either: list[asyncio.Future[Any]] = [self._said_hello, self.gone]
        await asyncio.wait(either, timeout=timeout_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        if self.gone.done():
            raise WorkerFailed("hello", f"the worker {self.gone.result()} before it said hello{self._last_words()}")
        if not self._said_hello.done():
            await self.end(grace_ms=0)
            raise WorkerFailed("hello", f"the worker did not say hello within {timeout_ms} ms{self._last_words()}")

    def _last_words(self) -> str:
        with suppress(OSError):
            if lines := (self._plan.directory / PRINTED).read_text(errors="replace").split("\n")[-4:-1]:
                return "; it printed: " + " | ".join(lines)[:500]
        return ""

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        """Act on frames until the worker is gone."""
        while act := await self._next(reader):
            try:
                act()
            except FrameBroken as error:
                await self._expel(error)
                return

    async def _next(self, reader: asyncio.StreamReader) -> Callable[[], None] | None:
        """What the next frame asks for; None when there will be no more. A worker that breaks the rules is ended."""
        try:
            line = await reader.readline()
            return self._understand(read_frame(line)) if line else None
        except (ValueError, FrameBroken) as error:
            await self._expel(error)
        except ConnectionError as error:
            logger.debug("the socket of worker %s ended: %s", self._plan.worker_id, error)
        return None

    async def _expel(self, error: Exception) -> None:
        logger.error("worker %s broke the rules of its socket: %s", self._plan.worker_id, error)
        await self._launching.kill(self._plan.worker_id)

    def _understand(self, message: Mapping[str, Any]) -> Callable[[], None]:
        """What is to be done about a frame. What is said of attempts that this worker does not have is nothing."""
        match message:
            case {"pong": _}:
                return self._hear_pong
            case {"hello": _}:
                return self._hear_hello
            case {"line": str(line), "attempt": str(attempt_id)}:
                return partial(self._hear_line, attempt_id, line)
            case {"admit": int(number), "attempt": str(attempt_id), "provider": str(provider)}:
                return partial(self._hear_ask, number, attempt_id, provider)
            case {"answered": str(provider), "attempt": str(attempt_id), "limited_ms": int() | None as limited_ms}:
                return partial(self._hear_answer, attempt_id, provider, limited_ms)
            case {"used": dict(usage), "attempt": str(attempt_id)}:
                return partial(self._hear_usage, attempt_id, usage)
            case {"send": dict(draft), "attempt": str(attempt_id)}:
                return partial(self._hear_message, attempt_id, draft)
            case {"received": str(message_id), "attempt": str(attempt_id)}:
                return partial(self._plan.received, attempt_id, message_id)
            case {"ended": str(attempt_id), "code": str(code), "envelope": dict(envelope)}:
                return partial(self._hear_end, attempt_id, code, envelope)
            case _:
                raise FrameBroken(f"a frame with {', '.join(sorted(map(str, message)))[:200] or 'nothing'} in it")

    def _hear_pong(self) -> None:
        self._answered = True

    def _hear_hello(self) -> None:
        if not self._said_hello.done():
            self._said_hello.set_result(None)

    def _hear_line(self, attempt_id: str, line: str) -> None:
        if attempt_id in self._declared:
            self._plan.printed(attempt_id, line)

    def _hear_ask(self, number: int, attempt_id: str, provider: str) -> None:
        """Leave to call a provider; as many wait as it has attempts, and what asks for more breaks the rules."""
        if attempt_id in self._declared and len(self._asking) < ASKING_MAX:
            asking = self._background.start(self._admit(number, attempt_id, provider))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    async def _admit(self, number: int, attempt_id: str, provider: str) -> None:
        await self._plan.calls.admit(attempt_id, provider[:PROVIDER_CHARS_MAX])
        self._send(admitted=number)

    def _hear_answer(self, attempt_id: str, provider: str, limited_ms: int | None) -> None:
        if attempt_id in self._declared:
            self._plan.calls.answered(attempt_id, provider[:PROVIDER_CHARS_MAX], limited_ms)

    def _hear_usage(self, attempt_id: str, usage: Mapping[str, Any]) -> None:
        if attempt_id in self._declared:
            try:
                self._plan.used(attempt_id, read_usage(usage))
            except EnvelopeBroken as error:
                raise FrameBroken(str(error)) from error

    def _hear_message(self, attempt_id: str, draft: Mapping[str, Any]) -> None:
        """The worker is not believed: what it sends is read as if an agent had written it."""
        if attempt_id not in self._declared:
            return
        try:
            self._plan.sent(attempt_id, read_draft(draft))
        except MessageBroken as error:
            self._plan.printed(attempt_id, f"message refused: {error}")

    def _hear_end(self, attempt_id: str, code: str, envelope: Mapping[str, Any]) -> None:
        declared = self._declared.pop(attempt_id, None)
        if declared is None:
            return
        try:
            outcome = read_envelope(envelope, declared)
        except EnvelopeBroken as error:
            outcome = failed(f"the worker garbled the answer: {error}")
        if not outcome.ok:
            code = code if code in FAILURES else "error"
            outcome = replace(outcome, error=outcome.error or "it failed without saying why", code=code)
        self._plan.ended(attempt_id, outcome)

    def _send(self, **message: object) -> None:
        if self._writer and not self._writer.is_closing():
            self._writer.write(write_frame(message))

    def give(self, assignment: Assignment) -> None:
        self._declared[assignment.attempt_id] = {*assignment.outputs, stdout_name(assignment.stage)}
        self._send(attempt=write_assignment(assignment))

    def stop(self, attempt_id: str, code: str) -> None:
        self._send(stop=attempt_id, code=code)

    def deliver(self, attempt_id: str, letter: Mapping[str, Any]) -> None:
        self._send(letter=letter, attempt=attempt_id)

    def ping(self) -> bool:
        answered, self._answered = self._answered, False
        self._send(ping=0)
        return answered

    async def end(self, *, grace_ms: int) -> None:
        if grace_ms and not self.gone.done():
            self._send(end=True)
            await asyncio.wait([self.gone], timeout=grace_ms / 1000)
        if not self.gone.done():
            await self._launching.kill(self._plan.worker_id)
        await self.close()

    async def close(self) -> None:
        """Let go of the socket."""
        for asking in self._asking:
            asking.cancel()
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._writer:
            self._writer.transport.abort()

    def _end(self, ended: "asyncio.Future[str]") -> None:
        if not self.gone.done():
            self.gone.set_result(ended.result() if not ended.cancelled() else "was stopped")
