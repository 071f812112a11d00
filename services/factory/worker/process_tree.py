"""The processes below a process, as /proc shows them, and their end."""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_PAUSE_S = 0.002


class Process(NamedTuple):
    """One process; times in clock ticks, `started` since boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    cpu: int
    started: int
    pages: int


def read_process(pid: int) -> Process | None:
    """A process, or None if there is none of that number."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name stands in brackets and may hold anything.
    fields = text.rpartition(")")[2].split()
    parent, group, session, user, system, started, pages = (int(fields[i]) for i in (1, 2, 3, 11, 12, 19, 21))
    return Process(pid, fields[0], parent, group, session, user + system, started, pages)


def read_processes() -> dict[int, Process]:
    """All processes that are there, by number; empty where the machine has no /proc."""
    if not _PROC.is_dir():
        return {}
    found = (read_process(int(place.name)) for place in _PROC.iterdir() if place.name.isdecimal())
    return {process.pid: process for process in found if process}


def is_alive(process: Process | None) -> bool:
    """Whether it can still do anything; a zombie cannot."""
    return process is not None and process.state not in "ZX"


def find_descendants(roots: Iterable[int], table: Mapping[int, Process]) -> set[int]:
    """All processes below these, without them."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    open_pids = list(roots)
    while open_pids:
        below = [pid for pid in children.get(open_pids.pop(), ()) if pid not in found]
        found.update(below)
        open_pids += below
    return found


def send_signal(pid: int, number: int) -> bool:
    """Signal one process; False if it is gone or not ours to signal."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_group(group: int, number: int) -> bool:
    """Signal a process group; False if nobody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def kill_all(
    find: Callable[[Mapping[int, Process]], Collection[int]], *, reap: Callable[[], object], within_s: float
) -> set[int]:
    """End all processes that `find` names, again and again until it names none that is alive; returns who is left.

    They are stopped before they are killed, so that none can start another one meanwhile. `reap` collects the
    caller's dead children.
    """
    end = time.monotonic() + within_s
    stopped: set[int] = set()
    while True:
        table = read_processes()
        alive = {pid for pid in find(table) if is_alive(table.get(pid))}
        if not alive or time.monotonic() > end:
            return alive
        if new := alive - stopped:
            stopped |= {pid for pid in new if send_signal(pid, signal.SIGSTOP)} | new
        else:
            for pid in alive:
                send_signal(pid, signal.SIGKILL)
            stopped = set()
            time.sleep(_PAUSE_S)
        reap()
