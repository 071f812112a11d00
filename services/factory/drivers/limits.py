"""The limits of a worker: what the kernel is asked for, and how it is said."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.records.content import Resources

PROCESSES_MAX = 256
"""Processes and threads of a worker and all that it starts."""

OPEN_FILES_MAX = 4096
"""Files that one of its processes may hold open."""

MEMORY_MIB_MIN = 96
"""A worker with less could not start a program."""

TMP_MIB_MAX = 256
"""Size of a private /tmp where the resources say nothing about storage."""

_MIB = 1024 * 1024

LAYERS = (
    "user",
    "files",
    "processes",
    "network",
    "system_calls",
    "pids",
    "memory_mib",
    "cpu_millis",
    "file_mib",
    "tmp_mib",
    "process_memory_mib",
    "open_files",
    "core_bytes",
)
"""What can be kept within limits, the names that `limits` of WorkerStarted begin with.

user                 an own user, so that files, memory and signals of others are out of reach
files                only what is needed can be seen, and nothing but the own directory and /tmp be written
processes            no process but the own ones can be seen
network              none, not even sockets of this machine
system_calls         those that escapes are made of are refused
pids                 so many processes and threads at once
memory_mib           of all processes together
cpu_millis           of all processes together
file_mib             of one file
tmp_mib              of /tmp and of shared memory, each
process_memory_mib   data of one process
open_files           of one process
core_bytes           of the image of a process that crashed
"""


def tmp_mib(resources: Resources) -> int:
    """Size of a private /tmp."""
    return min(resources.storage_mib or TMP_MIB_MAX, TMP_MIB_MAX)


class Limit(NamedTuple):
    """One that is in force."""

    layer: str
    value: int | str

    def __str__(self) -> str:
        return f"{self.layer}={self.value}"


def resource_limits(resources: Resources, *, processes: bool) -> list[Limit]:
    """What a process and its children can be limited to by themselves. `processes` are counted by user, so they can
    only be limited for an own one."""
    found = [Limit("core_bytes", 0), Limit("open_files", OPEN_FILES_MAX)]
    if resources.memory_mib:
        found.append(Limit("process_memory_mib", max(resources.memory_mib, MEMORY_MIB_MIN)))
    if resources.storage_mib:
        found.append(Limit("file_mib", resources.storage_mib))
    if processes:
        found.append(Limit("pids", PROCESSES_MAX))
    return found


_KERNEL = {
    "core_bytes": ("CORE", 1),
    "open_files": ("NOFILE", 1),
    "process_memory_mib": ("DATA", _MIB),
    "file_mib": ("FSIZE", _MIB),
    "pids": ("NPROC", 1),
}


def write_rlimits(limits: Iterable[Limit]) -> dict[str, int]:
    """Those of them that are a process's own, by the kernel's names and in its units."""
    return {name: int(value) * unit for layer, value in limits if layer in _KERNEL for name, unit in (_KERNEL[layer],)}


def describe_limits(limits: Iterable[Limit]) -> tuple[str, ...]:
    """Sorted as LAYERS, each once; the first mention counts."""
    by_layer: dict[str, Limit] = {}
    for limit in limits:
        by_layer.setdefault(limit.layer, limit)
    return tuple(str(by_layer[layer]) for layer in LAYERS if layer in by_layer)


def find_missing(required: Sequence[str], limits: Iterable[str]) -> list[str]:
    """The required layers that none of these limits is about."""
    there = {limit.partition("=")[0] for limit in limits}
    return [layer for layer in required if layer not in there]
