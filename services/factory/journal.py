"""The journal of a node: what a later life of it must know of this one.

A file of JSON lines, appended as things happen and rewritten with what still matters when it has grown. An entry is on
its way to the disk when `write` returns, which outlives the process; a `durable` one outlives the machine as well. A
line that was cut off by a crash is the last one and is dropped. While the disk is full, entries wait in memory, and are
written first as soon as there is room.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bus.errors import Fatal

logger = logging.getLogger(__name__)

JOURNAL = "journal.jsonl"
LINES_MAX = 20_000
"""After so many lines the file is rewritten."""

SESSIONS_MAX = 16
"""Sessions of its own that a node remembers."""

Entry = Mapping[str, Any]

_ENDS = {"gone": "instance", "ended": "attempt", "sent": "report"}


class JournalDamaged(Fatal):
    """A line in the middle of the journal cannot be read."""


class Journal:
    """The open instances, attempts and reports by id, the sessions of this node, its places and its launcher."""

    def __init__(self, directory: Path) -> None:
        """Read what is there and rewrite it. Raises JournalDamaged."""
        self._path = directory / JOURNAL
        self.sessions: list[str] = []
        self.boot = ""
        self.launcher: Entry = {}
        self.places: dict[str, Any] = {}
        self._open: dict[str, dict[str, Entry]] = {"instance": {}, "attempt": {}, "report": {}}
        self._descriptor = -1
        self._lines = 0
        self._unwritten = b""
        for entry in _read(self._path):
            self._apply(entry)
        self._rewrite()

    @property
    def instances(self) -> Mapping[str, Entry]:
        return self._open["instance"]

    @property
    def attempts(self) -> Mapping[str, Entry]:
        return self._open["attempt"]

    @property
    def reports(self) -> Mapping[str, Entry]:
        """Reports that are not known to be in the log, in the order in which they were made."""
        return self._open["report"]

    def write(self, kind: str, entry_id: str = "", *, durable: bool = False, **fields: Any) -> None:
        """Append an entry: session, launcher, places; instance, attempt or report with an id; gone, ended or sent."""
        entry = {"is": kind, "id": entry_id, **fields}
        self._apply(entry)
        was_behind = bool(self._unwritten)
        self._unwritten += _line(entry)
        self._lines += 1
        try:
            self._flush(durable)
            if self._lines > LINES_MAX:
                self._rewrite()
        except OSError as error:
            if not was_behind:
                logger.error("%s cannot be written, entries wait in memory: %s", self._path, error)

    def _flush(self, durable: bool) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[os.write(self._descriptor, self._unwritten) :]
        if durable:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _apply(self, entry: Entry) -> None:
        kind, entry_id = entry["is"], entry["id"]
        if kind in self._open:
            self._open[kind][entry_id] = entry
        elif kind in _ENDS:
            self._open[_ENDS[kind]].pop(entry_id, None)
        elif kind == "session":
            self.sessions = [*self.sessions, entry_id][-SESSIONS_MAX:]
            self.boot = entry["boot"]
        elif kind == "launcher":
            self.launcher = entry
        elif kind == "places":
            self.places = dict(entry["places"])

    def _entries(self) -> Iterator[Entry]:
        yield from ({"is": "session", "id": session, "boot": self.boot} for session in self.sessions)
        if self.launcher:
            yield self.launcher
        yield {"is": "places", "id": "", "places": self.places}
        for entries in self._open.values():
            yield from entries.values()

    def _rewrite(self) -> None:
        _replace(self._path, list(self._entries()))
        self.close()
        self._unwritten = b""
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._lines = 0


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def _read(path: Path) -> Iterator[Entry]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for number, line in enumerate(lines[:-1], 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise JournalDamaged(
                f"line {number} of {path} cannot be read ({error}); end what is left of this node's workers by hand, "
                "then remove the file"
            ) from error


def _replace(path: Path, entries: Iterable[Entry]) -> None:
    """Swap the whole file, such that a crash leaves the old one or the new one."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.writelines(_line(entry) for entry in entries)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
