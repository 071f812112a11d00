"""A disk below SQLite that fails when it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


class FaultyDisk(apsw.VFS):
    """Below every connection that is opened while it is in place."""

    def __init__(self) -> None:
        super().__init__("faulty", "unix", makedefault=True)
        self.writing: Exception | None = None
        """What writing to the write-ahead log ends with."""
        self.syncing: Exception | None = None
        """What making it durable ends with."""

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _LogFile(self, name, flags) if path and path.endswith("-wal") else apsw.VFSFile("unix", name, flags)


class _LogFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._disk.writing:
            raise self._disk.writing
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._disk.syncing:
            raise self._disk.syncing
        super().xSync(flags)


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """Put it in place, and the real one again afterwards."""
    disk = FaultyDisk()
    try:
        yield disk
    finally:
        apsw.set_default_vfs("unix")
        disk.unregister()
