"""The node's side of the launcher: starts it when it is first needed, asks it for workers and hears of their ends."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from services.factory.drivers.port import WorkerFailed
from services.factory.worker.confinement import Confinement, write_confinement
from services.factory.worker.process_tree import read_process

logger = logging.getLogger(__name__)

PRINTED = "launcher.log"
"""File in the node's directory with what the launcher prints, which is nothing unless it fails."""

WORKER_PROGRAM = Path(__file__).resolve().parents[1] / "worker" / "__main__.py"
_READ_BYTES = 64 * 1024
_PAUSE_S = 0.005
_END_S = 10.0


def node_environment() -> dict[str, str]:
    """What workers may see of the node's environment.

    The Python that runs the node comes first on the path, so that `python` is always there and new enough.
    """
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}", "LANG": os.environ.get("LANG", "C.UTF-8")}


class Launching:
    """One launcher process and the workers it has.

    `started` is told its pid and when it was born; `lost` is called when it has died, before its workers are told gone.
    """

    def __init__(self, directory: Path, *, started: Callable[[int, int], object], lost: Callable[[], object]) -> None:
        self._directory, self._started, self._lost = directory, started, lost
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lines = b""
        self._starting: dict[str, asyncio.Future[tuple[int, int]]] = {}
        self._gone: dict[str, asyncio.Future[str]] = {}
        self._sending = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Of the launcher; 0 while there is none."""
        return self._process.pid if self._process else 0

    async def start(
        self, worker_id: str, directory: Path, end: socket.socket, confinement: Confinement
    ) -> "tuple[int, int, asyncio.Future[str]]":
        """Start a worker that talks over this socket end, confined like that; gives its pid, when it was born, and the
        future of its end."""
        loop = asyncio.get_running_loop()
        started = self._starting[worker_id] = loop.create_future()
        gone = self._gone[worker_id] = loop.create_future()
        try:
            order = {"directory": str(directory), "confinement": write_confinement(confinement)}
            await self._send({"start": worker_id, **order}, end)
            pid, born = await started
        except (OSError, WorkerFailed) as error:
            self._gone.pop(worker_id, None)
            raise WorkerFailed("worker", f"no process could be started: {error}") from error
        finally:
            self._starting.pop(worker_id, None)
        return pid, born, gone

    async def kill(self, worker_id: str) -> None:
        """End a worker and every process it started, at once; returns when they are gone."""
        if gone := self._gone.get(worker_id):
            try:
                await self._send({"kill": worker_id})
            except OSError:
                logger.warning("the launcher is gone; its workers are being looked for")
            await asyncio.shield(gone)

    async def close(self) -> None:
        """End every worker, then the launcher."""
        if self._process is None:
            return
        waiting = list(self._gone.values())
        if self._control:
            self._control.shutdown(socket.SHUT_WR)
        if waiting:
            await asyncio.wait(waiting, timeout=_END_S)
        await self._collect()

    async def _send(self, message: Mapping[str, object], end: socket.socket | None = None) -> None:
        async with self._sending:
            control = self._control or self._open()
            data = json.dumps(message).encode() + b"\n"
            ends = [end.fileno()] if end else []
            while data:
                try:
                    sent = socket.send_fds(control, [data], ends)
                except BlockingIOError:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                data, ends = data[sent:], []

    def _open(self) -> socket.socket:
        if self._process:  # one that died before this one
            self._process.kill()
            self._process.wait()
        mine, its = socket.socketpair()
        mine.setblocking(False)
        with its, (self._directory / PRINTED).open("wb") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-E", str(WORKER_PROGRAM), str(its.fileno()), str(os.getpid())],
                pass_fds=[its.fileno()],
                env=node_environment(),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
        self._control, self._lines = mine, b""
        process = read_process(self._process.pid)
        self._started(self._process.pid, process.started if process else 0)
        asyncio.get_running_loop().add_reader(mine, self._hear)
        return mine

    def _hear(self) -> None:
        assert self._control
        try:
            data = self._control.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._end()
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: Mapping[str, Any]) -> None:
        if worker_id := message.get("started"):
            _settle(self._starting.get(worker_id), (message["pid"], message["born"]))
        elif worker_id := message.get("failed"):
            _refuse(self._starting.get(worker_id), message["reason"])
        elif worker_id := message.get("gone"):
            _settle(self._gone.pop(worker_id), message["status"])

    def _end(self) -> None:
        """The launcher has closed its end: it has ended, or has been killed and its workers with it."""
        assert self._control
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._control = None
        if self._gone:
            logger.error("the launcher %d of the workers died; see %s", self.pid, self._directory / PRINTED)
            self._lost()
        for started in self._starting.values():
            _refuse(started, "the launcher of the workers died")
        for gone in self._gone.values():
            _settle(gone, "the launcher of the workers died")
        self._gone.clear()

    async def _collect(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, _END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        if self._control:
            self._end()


def _settle(future: "asyncio.Future[Any] | None", value: Any) -> None:
    if future and not future.done():
        future.set_result(value)


def _refuse(future: "asyncio.Future[Any] | None", reason: str) -> None:
    if future and not future.done():
        future.set_exception(WorkerFailed("worker", reason))
