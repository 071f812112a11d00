"""The lock on a node's directory: one node at a time, told by the system when its holder dies."""

import fcntl
import os
from pathlib import Path

from bus.errors import Fatal, Unavailable

LOCK = "node.lock"


class DirectoryLocked(Fatal):
    """Another node works in this directory."""


class DirectoryLock:
    """Held from `take` to `release`, or to the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> "DirectoryLock":
        """Make the directory if need be and lock it.

        Raises DirectoryLocked with a sentence that names the holder, and Unavailable where nothing can be written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(f"a node cannot work in {directory}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise DirectoryLocked(
                f"another node (process {holder}) works in {directory}; stop it or give this one its own directory"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let another node have the directory."""
        os.close(self._descriptor)
