"""A child process of a worker: started in a session of its own, waited for without a thread, ended with all it
started."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from services.factory.agents.port import TERMINATE_MS
from services.factory.worker.process_tree import Process, find_descendants, kill_all, signal_group

KILL_WITHIN_S = 1.0

FIRST_TO_GO = 500
"""How much sooner than the worker its programs are ended where memory is short; up to 1000."""


class Exit(NamedTuple):
    """How a child ended: its exit code, or below 0 the signal; `cpu_ms` of it and of what it waited for."""

    code: int
    cpu_ms: int


class Child:
    """One started program. `children` are the numbers of all that some Child of this process will collect."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        children: set[int],
        descriptors: Sequence[int] = (),
    ) -> None:
        """Raises OSError if the system cannot start it. Besides its streams it gets these descriptors."""
        self._mark = os.fsencode(directory)
        self._children = children
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=descriptors,
        )
        self.pid = self._process.pid
        children.add(self.pid)
        with suppress(OSError):  # it has ended already, or the system knows nothing of this
            Path(f"/proc/{self.pid}/oom_score_adj").write_text(str(FIRST_TO_GO), encoding="ascii")
        self._pipes: list[Any] = []
        self._exit = asyncio.ensure_future(self._wait())

    async def open(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamReader]:
        """Its stdin to write to, its stdout and stderr to read from; `close` lets go of them."""
        loop = asyncio.get_running_loop()
        out, err = await self._open_read(self._process.stdout), await self._open_read(self._process.stderr)
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), self._process.stdin
        )
        self._pipes.append(transport)
        return asyncio.StreamWriter(transport, protocol, None, loop), out, err

    async def _open_read(self, pipe: Any) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        self._pipes.append(transport)
        return reader

    def close(self) -> None:
        """Let go of its pipes, whoever may still hold their other ends."""
        for pipe in self._pipes:
            if not pipe.is_closing():
                pipe.abort() if isinstance(pipe, asyncio.WriteTransport) else pipe.close()

    async def wait(self) -> Exit:
        """Wait for its end. Cancelled, it asks the whole group to end, and gives it TERMINATE_MS for that."""
        try:
            return await asyncio.shield(self._exit)
        except asyncio.CancelledError:
            signal_group(self.pid, signal.SIGTERM)
            await asyncio.wait([self._exit], timeout=TERMINATE_MS / 1000)
            raise

    async def kill(self) -> None:
        """End whatever there still is of it: its group, its session, and what else works in its directory."""
        signal_group(self.pid, signal.SIGKILL)
        await self._exit
        kill_all(self._leftovers, reap=self.reap, within_s=KILL_WITHIN_S)

    def reap(self) -> None:
        """Collect adopted orphans that have ended."""
        reap_orphans(self._children)

    def _leftovers(self, table: Mapping[int, Process]) -> set[int]:
        below = find_descendants([os.getpid()], table)
        return {pid for pid in below if table[pid].session == self.pid or self._is_marked(pid)}

    def _is_marked(self, pid: int) -> bool:
        with suppress(OSError):
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    async def _wait(self) -> Exit:
        await _until_dead(self.pid)
        _, status, used = os.wait4(self.pid, 0)  # noqa: ASYNC222 -- it is dead, so this does not wait
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._children.discard(self.pid)
        return Exit(self._process.returncode, round((used.ru_utime + used.ru_stime) * 1000))


async def _until_dead(pid: int) -> None:
    """Return once the child is dead, but leave it to be collected."""
    loop = asyncio.get_running_loop()
    dead: asyncio.Future[None] = loop.create_future()
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # no Linux, or an old one
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return
    try:
        loop.add_reader(descriptor, _settle, dead)
        await dead
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def reap_orphans(children: set[int]) -> None:
    """Collect dead children that are none of these; one of these at the head of the queue is left to its owner."""
    with suppress(ChildProcessError):
        while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and dead.si_pid not in children:
            os.waitpid(dead.si_pid, 0)


def has_children() -> bool:
    """Whether this process has any child, alive or not yet collected."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
