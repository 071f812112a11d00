"""Programs that try what a worker must not be able to do: each returns what it got, or raises what kept it from that.

This file is also what runs inside the worker, so it imports the standard library alone. All is bounded: a probe that
nothing holds back takes a few hundred processes or MiB for a moment and gives them back.
"""

import ctypes
import json
import mmap
import os
import resource
import select
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
BOMB_MAX = 400
Given = dict[str, Any]


def read(path: str) -> str:
    return f"{len(Path(path).read_bytes())} bytes of {path}"


def write(path: str) -> str:
    with Path(path).open("ab"):
        return f"{path} can be written"


def connect(kind: int, address: Any) -> str:
    with socket.socket(kind, socket.SOCK_STREAM) as end:
        end.settimeout(5)
        end.connect(address)
        return f"connected to {address!r}"


def call(name: str, *arguments: Any) -> str:
    """A function of the C library that gives 0 or more when it works."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return f"{name} works"


def follow_link(given: Given) -> str:
    Path("link").symlink_to(given["other_file"])
    return read("link")


def link(given: Given) -> str:
    os.link("/etc/shadow" if Path("/etc/shadow").exists() else "/usr/bin/env", "hard")
    return "a second name for it"


def replace_inputs(given: Given) -> str:
    place = next(Path("inputs").iterdir())
    place.unlink()
    return f"{place} is gone"


def see_processes(given: Given) -> str | None:
    others = {int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()}
    return f"there is {given['victim']}" if given["victim"] in others else None


def environment(pid: int) -> str:
    return read(f"/proc/{pid}/environ")


def memory(pid: int, mode: str) -> str:
    with Path(f"/proc/{pid}/mem").open(mode):
        return f"the memory of {pid} is open"


def send(pid: int) -> str:
    os.kill(pid, signal.SIGCONT)
    return f"{pid} got a signal"


def trace(given: Given) -> str:
    seize, pid = 0x4206, given["victim"]
    return call("ptrace", seize, pid, None, None)


def way_out(given: Given) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.connect(("192.0.2.1", 9))
        return f"a way from {end.getsockname()}"


def interfaces(given: Given) -> str | None:
    names = [name for _, name in socket.if_nameindex()]
    return f"{names}" if names != ["lo"] else None


def raw(family: int, kind: int, protocol: int) -> str:
    with socket.socket(family, kind, protocol):
        return "it is open"


@contextmanager
def children() -> Iterator[list[int]]:
    """Those started inside are ended."""
    pids: list[int] = []
    try:
        yield pids
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def fork_bomb(given: Given) -> str:
    with children() as pids:
        for _ in range(BOMB_MAX):
            if (pid := os.fork()) == 0:
                signal.pause()
            pids.append(pid)
    return f"{BOMB_MAX} processes"


def thread_bomb(given: Given) -> str:
    done = threading.Event()
    try:
        for _ in range(BOMB_MAX):
            threading.Thread(target=done.wait, daemon=True).start()
    finally:
        done.set()
    return f"{BOMB_MAX} threads"


def take_memory(mib: int, *, shared: bool = False) -> mmap.mmap:
    taken = mmap.mmap(-1, mib * MIB, flags=mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE)
    for at in range(0, mib * MIB, mmap.PAGESIZE):
        taken[at] = 1
    return taken


def apart(work: Callable[[], object], count: int = 1) -> None:
    """Do it in so many processes at once, which stay until all have done it; raises if one is killed or fails."""
    begun, tell = os.pipe()
    with children() as pids:
        for _ in range(count):
            if (pid := os.fork()) == 0:
                taken = None
                with suppress(BaseException):
                    taken = work()
                    os.write(tell, b"+")
                    signal.pause()
                os.write(tell, b"-")
                os._exit(bool(taken))
            pids.append(pid)
        os.close(tell)
        for _ in range(count):
            if not (answer := _first_sign(begun, pids)) or answer == b"-":
                raise MemoryError("one was refused or killed")


def _first_sign(begun: int, pids: list[int]) -> bytes:
    while True:
        if select.select([begun], [], [], 0.02)[0]:
            return os.read(begun, 1)
        for pid in pids:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return b""


def memory_bomb(given: Given) -> str:
    apart(lambda: take_memory(700))
    return "700 MiB"


def many_memory_bombs(given: Given) -> str:
    apart(lambda: take_memory(150), 5)
    return "5 times 150 MiB"


def shared_memory_bomb(given: Given) -> str:
    apart(lambda: take_memory(700, shared=True))
    return "700 MiB"


def burn(given: Given) -> str | None:
    with children() as pids:
        for _ in range(2):
            if (pid := os.fork()) == 0:
                while True:
                    pass
            pids.append(pid)
        select.select([], [], [], 1)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = used.ru_utime + used.ru_stime
    return f"{spent:.2f} s of the processor in one" if spent > 0.7 else None


def fill(path: Path, files: int, mib: int) -> str:
    places = [path / f"fill-{os.getpid()}-{number}" for number in range(files)]
    try:
        for place in places:
            with place.open("wb") as file:
                for _ in range(mib):
                    file.write(b"x" * MIB)
    finally:
        for place in places:
            place.unlink(missing_ok=True)
    return f"{files} times {mib} MiB in {path}"


def hole(path: Path) -> str:
    with path.open("wb") as file:
        return f"{file.truncate(64 * MIB)} bytes"


def open_many(given: Given) -> str:
    with ExitStack() as opened:
        for _ in range(5_000):
            opened.enter_context(Path("/dev/null").open("rb"))
    return "5000 files"


def core(given: Given) -> str | None:
    found = resource.getrlimit(resource.RLIMIT_CORE)
    return None if found == (0, 0) else f"{found}"


def raise_limits(given: Given) -> str:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
    return f"{hard + 1} files may be open"


def mount(given: Given) -> str:
    place = Path("mounted")
    place.mkdir()
    seen = call("mount", b"tmpfs", os.fsencode(place), b"tmpfs", 0, None)
    call("umount2", os.fsencode(place), 2)
    return seen


def user_namespace(given: Given) -> str:
    if (pid := os.fork()) == 0:
        os._exit(int(ctypes.CDLL(None).unshare(0x10000000) != 0))
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise PermissionError("unshare")
    return "one's own"


def change_root(given: Given) -> str:
    apart(lambda: os.chroot("."))
    return "it is changed"


def become_root(given: Given) -> str:
    os.setuid(0)
    Path("proof").write_text("")
    return f"user {os.getuid()}"


def status(field: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def gain_rights(given: Given) -> str | None:
    return None if status("NoNewPrivs") == "1" else "programs may raise their rights"


def capabilities(given: Given) -> str | None:
    found = int(status("CapEff"), 16) | int(status("CapPrm"), 16)
    return f"{found:x}" if found else None


def keys(given: Given) -> str:
    return call("syscall", {"x86_64": 248, "aarch64": 217}[os.uname().machine], b"user", b"probe", b"x", 1, -3)


def kernel_program(given: Given) -> str:
    attributes = bytearray(128)
    attributes[0:16] = b"\x02\0\0\0\x04\0\0\0\x04\0\0\0\x01\0\0\0"  # an array map with one entry
    number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    buffer = (ctypes.c_char * 128).from_buffer(attributes)
    return call("syscall", number, 0, buffer, 128)


def make_device(given: Given) -> str:
    os.mknod("device", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    with Path("device").open("rb"):
        return "it is there and can be opened"


def leave_groups(given: Given) -> str | None:
    for place in given["groups"]:
        Path(place, "cgroup.procs").write_text(str(os.getpid()))
    return f"in {given['groups']}" if given["groups"] else None


def rename(given: Given) -> str:
    name = socket.gethostname()
    socket.sethostname(name)
    return "it could be renamed"


def descriptors(given: Given) -> str | None:
    found = []
    for number in range(3, 256):
        with suppress(OSError):
            os.fstat(number)
            found.append(number)
    return f"{found}" if found else None


def variables(given: Given) -> str | None:
    more = set(os.environ) - {"PATH", "LANG", "LC_CTYPE", "HOME", "TMPDIR"}
    return f"{sorted(more)}" if more else None


PROBES: dict[str, Callable[[Given], str | None]] = {
    "read files of another instance": lambda given: read(given["other_file"]),
    "write files of another instance": lambda given: write(given["other_file"]),
    "read files of the node": lambda given: read(given["node_file"]),
    "read the log": lambda given: read(given["log_file"]),
    "read the blob store": lambda given: read(given["blob_file"]),
    "read passwords of the machine": lambda given: read("/etc/shadow"),
    "read the home of the node's user": lambda given: read(given["home_file"]) if given["home_file"] else None,
    "write files of the system": lambda given: write("/usr/bin/env"),
    "read what everybody may read outside": lambda given: read(given["open_file"]),
    "write where everybody may write outside": lambda given: write(given["open_directory"] + "/made"),
    "follow a link out of its directory": follow_link,
    "link to a file of the system": link,
    "replace its inputs": replace_inputs,
    "see processes of others": see_processes,
    "read the environment of another process": lambda given: environment(given["victim"]),
    "read the environment of the node": lambda given: environment(given["node"]),
    "read the memory of another process": lambda given: memory(given["victim"], "rb"),
    "write the memory of its own worker": lambda given: memory(os.getppid(), "r+b"),
    "signal another process": lambda given: send(given["victim"]),
    "signal the worker of another instance": lambda given: send(given["other_worker"]),
    "signal the launcher": lambda given: send(given["launcher"]),
    "trace another process": trace,
    "lower the priority number of a process": lambda given: f"{os.nice(-1)}",
    "connect to a port of this machine": lambda given: connect(socket.AF_INET, ("127.0.0.1", given["port"])),
    "find a way to other machines": way_out,
    "see network interfaces": interfaces,
    "connect to an abstract socket": lambda given: connect(socket.AF_UNIX, "\0" + given["abstract"]),
    "connect to a socket in the file system": lambda given: connect(socket.AF_UNIX, given["socket"]),
    "open a raw socket": lambda given: raw(socket.AF_INET, socket.SOCK_RAW, 1),
    "open a packet socket": lambda given: raw(17, socket.SOCK_RAW, 0),
    "start processes without end": fork_bomb,
    "start threads without end": thread_bomb,
    "take memory without end in one process": memory_bomb,
    "take memory without end in many processes": many_memory_bombs,
    "take shared memory without end": shared_memory_bomb,
    "use more of the processor than it has": burn,
    "write a file without end": lambda given: fill(Path.cwd(), 1, 64),
    "write a file with holes without end": lambda given: hole(Path("hole")),
    "fill the temporary directory of the machine": lambda given: fill(Path("/tmp"), 8, 8),
    "fill the shared memory of the machine": lambda given: fill(Path("/dev/shm"), 8, 8),
    "open files without end": open_many,
    "leave the image of a crash": core,
    "raise its own limits": raise_limits,
    "mount": mount,
    "make a user namespace": user_namespace,
    "change its root": change_root,
    "become the superuser": become_root,
    "gain rights from a program's file": gain_rights,
    "hold any capability": capabilities,
    "use the kernel's keys": keys,
    "load programs into the kernel": kernel_program,
    "write settings of the kernel": lambda given: write("/proc/sys/kernel/hostname"),
    "make a device": make_device,
    "leave its control groups": leave_groups,
    "rename the machine": rename,
    "find a terminal": lambda given: write("/dev/tty"),
    "find descriptors that are not its own": descriptors,
    "find more in its environment than it needs": variables,
}
"""By the promise that they test."""


def try_probe(name: str, given: Given) -> dict[str, Any]:
    """Whether it was held back, and by what or what it saw."""
    try:
        seen = PROBES[name](given)
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        return {"held": True, "seen": f"{type(error).__name__}: {error}"}
    return {"held": seen is None, "seen": seen or "nothing"}


if __name__ == "__main__":
    result = try_probe(sys.argv[1], json.loads(sys.argv[2]))
    sys.stdout.write(json.dumps({"ok": True, "result": result, "outputs": {"out": {"text": ""}}}) + "\n")
