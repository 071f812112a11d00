"""Snapshots: the fold of a role on its home partition, kept so that a new owner need not read everything again.

A snapshot is derived: whoever loses, damages or distrusts it folds the log from the start and comes to the same state.
It is taken only of what was read back, and refused when it was made by other code, is damaged, or does not belong to
the log that it is loaded for: it remembers a digest of the record before its place.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import logging
import os
import pickle
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bus.channel import Partition
from bus.decider import Role
from bus.errors import BusError
from bus.ledger import LedgerSaved
from bus.log import Stored
from bus.reader import Place
from bus.record import Value

logger = logging.getLogger(__name__)

SNAPSHOT_RECORDS = 50_000
"""Own facts read back after which a snapshot is worth taking."""

KEPT = 2
"""Snapshots that are kept of each role and partition, the newest ones."""

_MAGIC = b"clawx snapshot 1\n"
_LIBRARIES = frozenset({("immutables._map", "Map"), ("immutables.map", "Map"), ("collections", "deque")})


class SnapshotRefused(BusError):
    """The snapshot is damaged, foreign or made by other code; the log has everything that it had."""


class Snapshot(NamedTuple):
    """A fold up to, but not including, the offset of `place`. `witness` is a digest of the record before it."""

    place: Place
    witness: str
    state: Any
    ledger: LedgerSaved


class Snapshots(Protocol):
    """Where snapshots are kept."""

    def save(self, role: Role[Any], home: Partition, snapshot: Snapshot) -> None:
        """Keep it durably, and forget older ones. Safe to call in a thread."""
        ...

    def load(self, role: Role[Any], home: Partition) -> Iterable[Snapshot]:
        """Those that are sound and of this code, the newest first; others are named in a warning."""
        ...


def witness_of(stored: Stored) -> str:
    """What tells this record from one that another log has at the same offset."""
    digest = hashlib.blake2b(stored.key + b"\0" + stored.value, digest_size=16)
    for name, value in stored.headers:
        digest.update(name.encode() + b"\0" + value)
    return digest.hexdigest()


class DirectorySnapshots:
    """A folder for each role and partition, a file for each snapshot, named by its offset."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, role: Role[Any], home: Partition, snapshot: Snapshot) -> None:
        folder = self._folder(role, home)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{snapshot.place.offset:020d}.snapshot"
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            file.write(_pack(role, snapshot))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        for old in sorted(folder.glob("*.snapshot"))[:-KEPT]:
            old.unlink(missing_ok=True)

    def load(self, role: Role[Any], home: Partition) -> Iterable[Snapshot]:
        for path in sorted(self._folder(role, home).glob("*.snapshot"), reverse=True):
            try:
                yield _unpack(role, path.read_bytes())
            except (OSError, SnapshotRefused) as error:
                logger.warning("the snapshot %s is refused: %s; the log is folded instead", path, error)

    def _folder(self, role: Role[Any], home: Partition) -> Path:
        return self._directory / f"{role.name}-{home.number}"


def _pack(role: Role[Any], snapshot: Snapshot) -> bytes:
    body = zlib.compress(pickle.dumps(tuple(snapshot), protocol=5), 1)
    checksum = hashlib.sha256(body).hexdigest()
    return _MAGIC + f"{code_version(role)} {checksum}\n".encode() + body


def _unpack(role: Role[Any], data: bytes) -> Snapshot:
    head, _, body = data.removeprefix(_MAGIC).partition(b"\n")
    version, _, checksum = head.decode("ascii", "replace").partition(" ")
    if not data.startswith(_MAGIC) or hashlib.sha256(body).hexdigest() != checksum:
        raise SnapshotRefused("it is damaged")
    if version != code_version(role):
        raise SnapshotRefused("it was made by other code")
    try:
        return Snapshot(*_Unpickler(io.BytesIO(zlib.decompress(body)), _top(role)).load())
    except (pickle.UnpicklingError, zlib.error, TypeError, ValueError, AttributeError, ImportError, EOFError) as error:
        raise SnapshotRefused(f"it cannot be read: {error}") from error


class _Unpickler(pickle.Unpickler):
    """Makes values of ours and nothing else: no function can be called by what a file says."""

    def __init__(self, file: io.BytesIO, package: str) -> None:
        super().__init__(file)
        self._packages = frozenset({"bus", "services", package})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _LIBRARIES:
            return super().find_class(module, name)
        found = super().find_class(module, name) if module.partition(".")[0] in self._packages else None
        is_value = isinstance(found, type) and (
            dataclasses.is_dataclass(found) or issubclass(found, tuple | Value) or hasattr(found, "__snapshot__")
        )
        if not is_value:
            raise pickle.UnpicklingError(f"{module}.{name} is no value of a state")
        return found


def _top(role: Role[Any]) -> str:
    return str(role.decide.__module__.partition(".")[0])


@functools.cache
def _sources(prefixes: tuple[str, ...]) -> str:
    """A digest of the source of all loaded modules below these names."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(sys.modules):
        path = getattr(sys.modules[name], "__file__", None)
        if path and any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes):
            digest.update(name.encode() + b"\0" + Path(path).read_bytes())
    return digest.hexdigest()


def code_version(role: Role[Any]) -> str:
    """Changes with any line of the role's package, of the records and of what the bus folds with.

    A fold by other code may differ, and nothing but folding again could tell.
    """
    package = role.decide.__module__.rpartition(".")[0]
    shared = ("bus.deadline", "bus.decider", "bus.seen", "bus.ledger", "bus.record", "bus.fence", "services.records")
    return _sources((package, *shared))
