"""Users of their own for workers: numbers that nobody else on this machine has."""

import os
import pwd
import random
from contextlib import suppress
from pathlib import Path

from services.factory.drivers.port import WorkerFailed
from services.factory.worker.reach import find_obstacles

USERS = range(50_000, 58_000)
"""Where they are taken from: above people and services, below the transient users of systemd."""

_CAP_SYS_ADMIN = 21
_TRIES_MAX = 100


class OwnUsers:
    """The numbers in use by workers of this node. `directory` must lie above all directories of workers."""

    def __init__(self, directory: Path, reach: tuple[Path, ...], *, wanted: bool = True) -> None:
        self._reach = reach
        self._taken: set[int] = set()
        self.absence = find_absence((directory, *reach)) if wanted else "the node was not told to"

    @property
    def are_there(self) -> bool:
        """Whether workers get a user of their own here."""
        return not self.absence

    def take(self, directory: Path) -> int:
        """A number for a worker in this directory, which is made its; 0 where there are no own users."""
        if self.absence:
            return 0
        user = self._find_free()
        try:
            _give(directory, user)
        except OSError as error:
            raise WorkerFailed("directory", f"{directory} cannot be given to a user: {error.strerror}") from error
        self._taken.add(user)
        return user

    def release(self, user: int) -> None:
        """The worker is gone."""
        self._taken.discard(user)

    def reach(self, directory: Path) -> tuple[str, ...]:
        """What a worker must be able to reach."""
        return tuple(str(each) for each in (directory, *self._reach))

    def _find_free(self) -> int:
        running = _running_users()
        for _ in range(_TRIES_MAX):
            user = random.choice(USERS)
            if user not in self._taken and user not in running and not _has_name(user):
                return user
        raise WorkerFailed("user", f"none of {_TRIES_MAX} users from {USERS.start} to {USERS.stop - 1} is free")


def find_absence(paths: tuple[Path, ...]) -> str:
    """Why workers cannot have users of their own here; empty if they can."""
    if os.geteuid() != 0:
        return "the node does not run as root"
    if not _is_mapped(USERS.start) or not _is_mapped(USERS.stop - 1):
        return f"the users {USERS.start} to {USERS.stop - 1} do not exist in this namespace"
    obstacles = find_obstacles([path.resolve() for path in paths if path.exists()])
    if obstacles and not _can_mount():
        return f"another user may not enter {obstacles[0]}, and the node may not mount around it"
    return ""


def _give(directory: Path, user: int) -> None:
    """Let the user write there, but neither remove nor replace what is not its own."""
    attempts = directory / "attempts"
    attempts.mkdir(exist_ok=True)
    for each in (directory, attempts):
        os.chown(each, 0, user)
        each.chmod(0o1770)


def _running_users() -> set[int]:
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.add(place.stat().st_uid)
    return found


def _has_name(user: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(user))
    return False


def _is_mapped(user: int) -> bool:
    with suppress(OSError):
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
        spans = [tuple(map(int, line.split())) for line in lines]
        return any(start <= user < start + count for start, _, count in spans)
    return False


def _can_mount() -> bool:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    return False
