"""A way for another user to directories below ones that only their owner may enter, such as a home."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 1, 2, 4, 32, 4096, 16384, 1 << 19


def find_obstacles(paths: Iterable[Path]) -> list[Path]:
    """The topmost directories on the way to these real paths that others may not enter."""
    found = {obstacle for path in paths if (obstacle := _first_obstacle(path))}
    return sorted(each for each in found if not any(other in each.parents for other in found))


def _first_obstacle(path: Path) -> Path | None:
    return next((each for each in reversed(path.parents) if not each.stat().st_mode & 0o001), None)


def clear_way(directories: Iterable[str]) -> None:
    """In a mount namespace of this process, lay an empty directory over each obstacle, and in it the way to those of
    the directories that lie below. Only the superuser may."""
    paths = [Path(each) for each in directories]
    obstacles = find_obstacles(paths)
    if not obstacles:
        return
    _check(_libc().unshare(_CLONE_NEWNS), "a mount namespace")
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)
    below = [path for path in paths if any(obstacle in path.parents for obstacle in obstacles)]
    held = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in below}
    for obstacle in obstacles:
        _mount("tmpfs", str(obstacle), "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0711,size=256k")
    for path, descriptor in held.items():
        _make_way(path)
        _mount(f"/proc/self/fd/{descriptor}", str(path), None, _MS_BIND | _MS_REC)
        os.close(descriptor)
    for obstacle in obstacles:
        _mount(None, str(obstacle), None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def _make_way(path: Path) -> None:
    for each in (*reversed(path.parents), path):
        if not each.exists():
            each.mkdir()
            each.chmod(0o711)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    def text(value: str | None) -> bytes | None:
        return os.fsencode(value) if value else None

    code = _libc().mount(text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data))
    _check(code, f"a mount at {target}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(code: int, what: str) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
