"""The files that a model may touch: those in its attempt's directory, never through a link."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

READ_BYTES_MAX = 64 * 1024
"""Most that one call reads; the rest by offset."""

WRITE_BYTES_MAX = 1024 * 1024
ENTRIES_MAX = 1_000
READ_ONLY = frozenset({"inputs", "stdout"})
"""At the top: what the attempt was given, and what is kept of its words."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class WorkspaceBroken(Exception):
    """What was asked for cannot be done; the message is for the model."""


class Workspace:
    """A directory and all below it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def show(self, path: str) -> str:
        """The names in a directory, directories with a slash, files with their size."""
        parts = self._parts(path)
        with self._open_directory(parts) as directory:
            names = sorted(os.listdir(directory))  # noqa: PTH208 -- of a directory that is held open
            lines = [_describe(name, directory) for name in names[:ENTRIES_MAX]]
        left_out = len(names) - len(lines)
        return "\n".join(lines + ([f"… {left_out} more"] if left_out else [])) or "(nothing)"

    def read(self, path: str, offset: int) -> str:
        """Part of a file, as text."""
        *above, name = self._parts(path) or [""]
        with self._open_directory(above) as directory, _opened(name, directory, os.O_RDONLY) as file:
            size = os.fstat(file).st_size
            data = os.pread(file, READ_BYTES_MAX, max(0, offset))
        end = max(0, offset) + len(data)
        rest = f"\n… {size - end} more bytes, from offset {end} on" if end < size else ""
        return data.decode(errors="replace") + rest

    def write(self, path: str, content: str) -> str:
        """Make or replace a file, and the directories that it lies in."""
        parts = self._parts(path)
        data = content.encode(errors="replace")
        if not parts or parts[0] in READ_ONLY:
            raise WorkspaceBroken(f"{path!r} cannot be written; write below outputs/ or make files of your own")
        if len(data) > WRITE_BYTES_MAX:
            raise WorkspaceBroken(f"{len(data)} bytes are more than the {WRITE_BYTES_MAX} that one call may write")
        *above, name = parts
        flags = os.O_WRONLY | os.O_CREAT
        with self._open_directory(above, make=True) as directory, _opened(name, directory, flags) as file:
            os.ftruncate(file, 0)
            _write_all(file, data)
        return f"{len(data)} bytes written"

    def _parts(self, path: str) -> list[str]:
        place = PurePosixPath(path or ".")
        if place.is_absolute() and place.is_relative_to(self._directory):
            place = place.relative_to(self._directory)
        if place.is_absolute() or ".." in place.parts or "\0" in path:
            raise WorkspaceBroken(f"{path!r} leads out of the workspace; give a path relative to it")
        return list(place.parts)

    @contextmanager
    def _open_directory(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Step by step, so that no step can be a link, whoever puts one there meanwhile."""
        at = os.open(self._directory, _DIRECTORY)
        try:
            for part in parts:
                below = _step(part, at, make=make)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)


def _step(part: str, at: int, *, make: bool) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=at)
    except FileNotFoundError as error:
        if not make:
            raise WorkspaceBroken(f"there is no directory {part!r}") from error
        os.mkdir(part, dir_fd=at)
        return os.open(part, _DIRECTORY, dir_fd=at)
    except OSError as error:
        raise WorkspaceBroken(f"{part!r} is no directory of the workspace: {error.strerror}") from error


@contextmanager
def _opened(name: str, directory: int, flags: int) -> Iterator[int]:
    try:
        file = os.open(name or ".", flags | _FILE, 0o644, dir_fd=directory)
    except OSError as error:
        raise WorkspaceBroken(f"{name!r} is no file of the workspace: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise WorkspaceBroken(f"{name!r} is no regular file")
        yield file
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _describe(name: str, directory: int) -> str:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        return f"{name}/"
    return f"{name} ({found.st_size} bytes)" if stat.S_ISREG(found.st_mode) else f"{name} (no regular file)"
