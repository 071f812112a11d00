"""The launcher: starts workers by forking itself, and is the parent of whatever they leave behind.

It is started by the node, talks with it in JSON lines over one socket and does nothing of its own accord:

    node      {"start": ID, "directory": PATH, "confinement": …} and the worker's end of a socket; {"kill": ID}
    launcher  {"started": ID, "pid": N, "born": TICKS} or {"failed": ID, "reason": TEXT}
              {"gone": ID, "status": TEXT}    neither the worker nor any process of it exists any more

A worker adopts the orphans below it while it lives; after it they come to the launcher, whose only own children are
workers. So every other child of the launcher belongs to a dead worker, whatever session, group or environment it gave
itself, and is killed at once. When the node goes, all of them go, and then the launcher.
"""

import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.factory.worker.confinement import Confinement, enter, read_confinement, run_program
from services.factory.worker.parentage import adopt_orphans, die_with_parent, give_up_privileges, hide
from services.factory.worker.process_tree import Process, find_descendants, kill_all, read_process
from services.factory.worker.program import run_worker
from services.factory.worker.streams import join_streams
from services.factory.worker.system_calls import can_filter, filter_calls

FRAME_BYTES_MAX = 64 * 1024
KILL_WITHIN_S = 5.0
"""How long the launcher insists; what the kernel cannot end by then is named in the status."""

PRINTED = "worker.log"
"""File in the instance's directory with what the worker itself prints, which is nothing unless it fails."""

_NODE_DIED = signal.SIGTERM


class Launcher:
    """The workers by id, and the loop that starts and ends them."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pids: dict[str, int] = {}
        self._condemned: set[str] = set()
        self._ended: dict[str, str] = {}
        self._lines = b""
        self._ends: list[int] = []
        self._over = False
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()

    def run(self) -> None:
        """Serve until the node closes its end or dies; then end every worker."""
        self._watch_signals()
        self._selector.register(self._control, selectors.EVENT_READ, self._hear)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda: self._woken.recv(4096))
        while not self._over:
            for key, _ in self._selector.select():
                key.data()
            self._reap()
            if self._condemned or self._ended:
                self._sweep()
        self._condemned = set(self._pids)
        self._sweep()

    def _watch_signals(self) -> None:
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(_NODE_DIED, self._end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the node, which ends its workers in order

    def _end(self, *_: object) -> None:
        self._over = True

    def _hear(self) -> None:
        data, ends, _, _ = socket.recv_fds(self._control, FRAME_BYTES_MAX, 64)
        self._ends += ends
        self._over = self._over or not data
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "start" in message:
                self._start(message, self._ends.pop(0))
            elif message["kill"] in self._pids:
                self._condemned.add(message["kill"])

    def _start(self, message: Mapping[str, Any], end: int) -> None:
        worker_id = message["start"]
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(end)
            self._tell(failed=worker_id, reason=error.strerror)
            return
        if pid == 0:
            self._become_worker(parent, message, end)
        os.close(end)
        self._pids[worker_id] = pid
        process = read_process(pid)
        self._tell(started=worker_id, pid=pid, born=process.started if process else 0)

    def _become_worker(self, parent: int, message: Mapping[str, Any], end: int) -> None:
        """In the fork: let go of all that is the launcher's, and never come back."""
        status = 1
        try:
            die_with_parent(parent, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, _NODE_DIED):
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            for mine in (self._control, self._wake, self._woken):
                mine.close()
            for other in self._ends:
                os.close(other)
            status = _work(message["directory"], read_confinement(message["confinement"]), end, parent)
        except BaseException:  # noqa: BLE001 -- whatever it is, it must not come back to the launcher's loop
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        """Collect dead children; those that were workers have ended."""
        by_pid = {pid: worker_id for worker_id, pid in self._pids.items()}
        for pid, status in iter(_wait_any, None):
            if worker_id := by_pid.get(pid):
                del self._pids[worker_id]
                self._ended[worker_id] = _describe(os.waitstatus_to_exitcode(status))

    def _sweep(self) -> None:
        """Kill the condemned and every child that is no worker, then say which workers are gone for good."""
        left = kill_all(self._doomed, reap=self._reap, within_s=KILL_WITHIN_S)
        self._reap()
        self._condemned.clear()
        for worker_id, status in self._ended.items():
            self._tell(gone=worker_id, status=status + (f", but {sorted(left)} cannot be killed" if left else ""))
        self._ended.clear()

    def _doomed(self, table: Mapping[int, Process]) -> set[int]:
        living = {pid for worker_id, pid in self._pids.items() if worker_id not in self._condemned}
        return find_descendants([os.getpid()], table) - living - find_descendants(living, table)

    def _tell(self, **message: object) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:  # the node is gone, and with it whoever wants to know
            self._over = True


def _wait_any() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _describe(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"killed by {-code}"
    return f"exited with {code}"


def _work(directory: str, confinement: Confinement, end: int, parent: int) -> int:
    """Be the worker of an instance, or the program around it: in a session of its own, in its directory, with nothing
    open but its socket."""
    os.setsid()
    printed = os.open(Path(directory) / PRINTED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(printed)
    enter(confinement)
    os.chdir(directory)
    die_with_parent(parent, signal.SIGKILL)  # anew: another user's process has lost it
    if confinement.program:
        run_program(confinement, end)
    if confinement.filters_calls:
        filter_calls()
    return run_worker(socket.socket(fileno=end))


def run_confined(arguments: list[str]) -> int:
    """`worker FD PROCESSES [DIRECT]`: be a worker inside the program that keeps it apart; `streams` for FD takes the
    standard ones. No more processes than that, if any number is given; where they are counted only here, they can be
    limited only here. With DIRECT, there is a proxy to all other hosts than those."""
    give_up_privileges()
    hide()
    if most := int(arguments[1]):
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    if can_filter():
        filter_calls()
    end = join_streams() if arguments[0] == "streams" else socket.socket(fileno=int(arguments[0]))
    return run_worker(end, arguments[2] if len(arguments) > 2 else None)


def main(arguments: list[str]) -> None:
    """`launcher FD PARENT`: serve the node that is the parent over the socket FD."""
    descriptor, parent = int(arguments[0]), int(arguments[1])
    die_with_parent(parent, _NODE_DIED)
    adopt_orphans()
    gc.freeze()  # so that collections in the workers leave the shared pages alone
    Launcher(socket.socket(fileno=descriptor)).run()
