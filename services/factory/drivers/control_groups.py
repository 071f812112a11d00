"""Control groups of workers, of version 1 or 2 of the kernel's interface, as far as they are ours to set."""

import errno
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from services.factory.drivers.limits import MEMORY_MIB_MIN, PROCESSES_MAX, Limit
from services.factory.drivers.port import WorkerFailed
from services.factory.file_name import file_name
from services.factory.worker.process_tree import find_descendants, read_processes, send_signal
from services.records.content import Resources

logger = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
ASIDE = "clawx-node"
"""Group of a node's own processes, where they may not stay in the one above."""

CPU_PERIOD_US = 100_000
CPU_MILLIS_MIN = 10
_MIB = 1024 * 1024
_CLEAR_S = 2.0
_PAUSE_S = 0.005
_KILL = 9

_LAYERS = {"pids": "pids", "memory": "memory_mib", "cpu": "cpu_millis"}
"""Controllers that are used, and the layers that they limit."""


class ControlGroups:
    """The groups of one node, below `clawx-DIGEST` of its directory, so that a later life of it finds them."""

    def __init__(self, node_directory: Path, root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> None:
        self.name = f"clawx-{hashlib.sha256(os.fsencode(node_directory)).hexdigest()[:16]}"
        self._parents: dict[str, Path] = {}
        self._changing = threading.Lock()
        self._is_unified = (root / "cgroup.controllers").exists()
        self.absence = ""
        try:
            found = find_parents(root, own.read_text(encoding="utf-8"))
        except OSError as error:
            self.absence, found = f"there are no control groups: {error.strerror}", {}
        for controller, parent in found.items():
            self._open(controller, parent / self.name)
        if not self._parents and not self.absence:
            self.absence = "control groups are not ours to set"

    def _open(self, controller: str, place: Path) -> None:
        """Try to make a group there. It is made when there are workers and removed with the last of them, so that a
        node that is killed without workers leaves nothing."""
        try:
            self._make_parent(controller, place)
            self._remove_if_empty(place)
        except OSError as error:
            self.absence = f"control groups are not ours to set: {error.strerror}"
            return
        self._parents[controller] = place

    def _make_parent(self, controller: str, place: Path) -> None:
        if self._is_unified:
            _enable(place.parent, controller)
        place.mkdir(exist_ok=True)
        if self._is_unified:
            _enable(place, controller)

    def _remove_if_empty(self, place: Path) -> None:
        with suppress(OSError):  # others are in it
            place.rmdir()

    def top(self) -> list[Path]:
        """The groups that those of workers lie below."""
        return sorted({place.parent for place in self._parents.values()})

    def limits(self, resources: Resources) -> list[Limit]:
        """Those that a group for these resources puts in force."""
        values = {
            "pids": PROCESSES_MAX,
            "memory": max(resources.memory_mib, MEMORY_MIB_MIN) if resources.memory_mib else 0,
            "cpu": max(resources.cpu_millis, CPU_MILLIS_MIN) if resources.cpu_millis else 0,
        }
        return [Limit(_LAYERS[each], values[each]) for each in _LAYERS if each in self._parents and values[each]]

    def make(self, worker_id: str, resources: Resources) -> tuple[Path, ...]:
        """The groups of a worker, which it joins by itself. Raises WorkerFailed; nothing is left of them then."""
        limits = {limit.layer: int(limit.value) for limit in self.limits(resources)}
        write = _write_second if self._is_unified else _write_first
        made: list[Path] = []
        try:
            with self._changing:
                for controller, parent in self._parents.items():
                    self._make_parent(controller, parent)
                    group = parent / file_name(worker_id)
                    group.mkdir(exist_ok=True)
                    made.append(group)
            for controller, parent in self._parents.items():
                if value := limits.get(_LAYERS[controller]):
                    write(parent / file_name(worker_id), controller, value)
        except OSError as error:
            self.remove(tuple(made))
            raise WorkerFailed("limits", f"a control group could not be set: {error}") from error
        return tuple(dict.fromkeys(made))

    def remove(self, groups: Sequence[Path]) -> None:
        """Remove the groups of a worker that is gone, whatever may still be in them."""
        for group in groups:
            _clear(group)
        with self._changing:
            for parent in {group.parent for group in groups}:
                self._remove_if_empty(parent)

    def remove_all(self) -> None:
        """Remove every group of the node, such as an earlier life of it left, with all in them."""
        for parent in set(self._parents.values()):
            if parent.is_dir():
                self.remove([each for each in parent.iterdir() if each.is_dir()])
                self._remove_if_empty(parent)


def find_parents(root: Path, own: str) -> Mapping[str, Path]:
    """Where groups can be made below the own one, by controller. `own` is what /proc says of a process."""
    places = {}
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if controllers else [""]:
            places[controller] = path.lstrip("/").removesuffix(f"/{ASIDE}")
    if (root / "cgroup.controllers").exists():
        there = (root / places.get("", "") / "cgroup.controllers").read_text(encoding="ascii").split()
        return {each: root / places.get("", "") for each in _LAYERS if each in there}
    return {each: root / each / places[each] for each in _LAYERS if each in places and (root / each).is_dir()}


def _enable(place: Path, controller: str) -> None:
    """Version 2: let groups below this one be limited, which it refuses to one with processes of its own."""
    control = place / "cgroup.subtree_control"
    if controller in control.read_text(encoding="ascii").split():
        return
    try:
        control.write_text(f"+{controller}", encoding="ascii")
    except OSError as error:
        if error.errno != errno.EBUSY or not _step_aside(place):
            raise
        control.write_text(f"+{controller}", encoding="ascii")


def _step_aside(place: Path) -> bool:
    """Move this process and those it started into a group of their own below, unless there are others with them."""
    pids = {int(pid) for pid in (place / "cgroup.procs").read_text(encoding="ascii").split()}
    if pids - {os.getpid()} - find_descendants([os.getpid()], read_processes()):
        return False
    aside = place / ASIDE
    aside.mkdir(exist_ok=True)
    for pid in pids:
        (aside / "cgroup.procs").write_text(str(pid), encoding="ascii")
    return True


def _write_first(group: Path, controller: str, value: int) -> None:
    for name, text in _first(controller, value):
        (group / name).write_text(text, encoding="ascii")


def _first(controller: str, value: int) -> Iterator[tuple[str, str]]:
    if controller == "pids":
        yield "pids.max", str(value)
    elif controller == "memory":
        yield "memory.limit_in_bytes", str(value * _MIB)
    else:
        yield "cpu.cfs_period_us", str(CPU_PERIOD_US)
        yield "cpu.cfs_quota_us", str(value * CPU_PERIOD_US // 1000)


def _write_second(group: Path, controller: str, value: int) -> None:
    texts = {"pids": str(value), "memory": str(value * _MIB), "cpu": f"{value * CPU_PERIOD_US // 1000} {CPU_PERIOD_US}"}
    (group / f"{controller}.max").write_text(texts[controller], encoding="ascii")
    if controller == "memory" and (swap := group / "memory.swap.max").exists():
        swap.write_text("0", encoding="ascii")


def _clear(group: Path) -> None:
    """End what is in a group and remove it. A group can be busy for a moment after its last process."""
    end = time.monotonic() + _CLEAR_S
    while True:
        try:
            for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
                send_signal(int(pid), _KILL)
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > end:
                logger.error("the control group %s cannot be removed: %s", group, error.strerror)
                return
            time.sleep(_PAUSE_S)
            continue
        return
