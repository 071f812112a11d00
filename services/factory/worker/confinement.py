"""What a worker is put into before it becomes one: control groups, limits, a user of its own, a program around it."""

import os
import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from services.factory.worker.parentage import give_up_privileges
from services.factory.worker.reach import clear_way


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """As a driver orders it; nothing of it needs the rest."""

    user: int = 0  # own user and group of this number; 0 for those of the launcher
    rlimits: Mapping[str, int] = field(default_factory=dict)  # by the names of the kernel, without RLIMIT_
    groups: tuple[str, ...] = ()  # directories of control groups to be joined
    reach: tuple[str, ...] = ()  # directories that the own user must be able to reach
    program: tuple[str, ...] = ()  # run instead of the worker; {FD} in it is the number of its socket
    streams: bool = False  # the socket is the program's standard input and output
    files: Mapping[str, str] = field(default_factory=dict)  # texts that the program finds open, by what stands for FD
    filters_calls: bool = False  # keep it from the system calls that no agent needs


def write_confinement(confinement: Confinement) -> dict[str, Any]:
    """As JSON carries it."""
    return asdict(confinement)


def read_confinement(found: Mapping[str, Any]) -> Confinement:
    """What `write_confinement` wrote."""
    lists = {name: tuple(found[name]) for name in ("groups", "reach", "program")}
    return Confinement(**{**found, **lists})


def enter(confinement: Confinement) -> None:
    """Put this process into it, all but the program; what cannot be had is an OSError. There is no way back."""
    for group in confinement.groups:
        (Path(group) / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    if confinement.user and confinement.reach:
        clear_way(confinement.reach)
    for name, most in confinement.rlimits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))
    if confinement.user:
        os.setgroups([])
        os.setresgid(confinement.user, confinement.user, confinement.user)
        os.setresuid(confinement.user, confinement.user, confinement.user)
        give_up_privileges()


def run_program(confinement: Confinement, end: int) -> None:
    """Become the program around the worker, which inherits the worker's socket and the files."""
    places = {"{FD}": str(end)}
    for name, text in confinement.files.items():
        file = os.memfd_create(name)
        os.write(file, text.encode())
        os.lseek(file, 0, os.SEEK_SET)
        places[f"{{{name}}}"] = str(file)
        os.set_inheritable(file, True)
    os.set_inheritable(end, True)
    if confinement.streams:
        os.dup2(end, 0)
        os.dup2(end, 1)
    arguments = [places.get(argument, argument) for argument in confinement.program]
    os.execvp(arguments[0], arguments)
