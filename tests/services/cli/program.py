"""The program as a process of its own, as a person or a script starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.tidy.source_tree import ROOT

ENDS_S_MAX = 150


@dataclass(slots=True, kw_only=True)
class Program:
    """A started command; what it prints is read as it comes."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)  # of stdout
    said: list[str] = field(default_factory=list)  # on stderr
    readers: list[threading.Thread] = field(default_factory=list)

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; gives the exit code."""
        code = self.process.wait(ENDS_S_MAX)
        for reader in self.readers:
            reader.join()
        return code

    def last_json(self) -> Any:
        """The object in the last line of stdout."""
        return json.loads(self.lines[-1])


@contextmanager
def started(*arguments: str, data: Path, **variables: str) -> Iterator[Program]:
    """Start `clawx` on a data directory; it is gone afterwards, whatever happens."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLAWX_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli.main", *arguments],
        cwd=data.parent,
        env=inherited | {"CLAWX_DATA": str(data), "PYTHONPATH": _path()} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program = Program(process=process)
    for stream, lines in ((process.stdout, program.lines), (process.stderr, program.said)):
        assert stream is not None
        reader = threading.Thread(target=_read, args=(stream, lines))
        reader.start()
        program.readers.append(reader)
    try:
        yield program
    finally:
        process.kill()
        program.end()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def run(*arguments: str, data: Path, **variables: str) -> Program:
    """Run a command to its end."""
    with started(*arguments, data=data, **variables) as program:
        program.end()
        return program


def _read(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip("\n"))  # noqa: PERF401 — one by one, since others look on


def _path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
