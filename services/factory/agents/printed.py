"""What a program printed: the head of its stdout as a file, its last line whole, its stderr line by line."""

import asyncio
from collections import deque
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from services.factory.agents.envelope import ENVELOPE_BYTES_MAX

STDOUT_BYTES_MAX = 1024 * 1024
"""How much of a program's stdout is kept."""

LINE_BYTES_MAX = 4 * 1024
"""Longest line of progress; the rest of it is left out."""

STDERR_LINES_MAX = 10
"""How many of the last lines are kept to explain a failure."""

_CHUNK_BYTES = 64 * 1024


class Stdout:
    """Keeps what a program prints within limits, tells each line, and finds the one that is its answer."""

    def __init__(self, path: Path, hear: Callable[[bytes], None], skip: Callable[[bytes], bool] | None = None) -> None:
        """A line that `skip` takes is no answer, nor told to `hear`."""
        self._path, self._hear, self._skip = path, hear, skip
        self._kept = 0
        self._line = bytearray()
        self._line_length = 0
        self.answer = b""
        self.answer_length = 0
        self.is_more_than_answer = False

    async def follow(self, reader: asyncio.StreamReader) -> None:
        """Read to the end."""
        with self._path.open("wb", buffering=0) as file:
            while chunk := await reader.read(_CHUNK_BYTES):
                self._keep(file, chunk[: STDOUT_BYTES_MAX - self._kept])
                self._split(chunk)
        self._end_line()

    def read_kept(self) -> bytes:
        """What was kept of all that was printed."""
        return self._path.read_bytes()

    def _keep(self, file: FileIO, part: bytes) -> None:
        """A full disk ends the keeping, not the reading."""
        try:
            file.write(part)
            self._kept += len(part)
        except OSError:
            self._kept = STDOUT_BYTES_MAX

    def _split(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._extend(part)
            self._end_line()
        self._extend(rest)

    def _extend(self, part: bytes) -> None:
        self._line_length += len(part)
        self._line += part[: max(0, ENVELOPE_BYTES_MAX + 1 - len(self._line))]

    def _end_line(self) -> None:
        if self._line.strip() and not (self._skip and self._skip(bytes(self._line))):
            self.is_more_than_answer = bool(self.answer)
            self.answer, self.answer_length = bytes(self._line), self._line_length
            if self._line_length <= ENVELOPE_BYTES_MAX:
                self._hear(self.answer)
        self._line.clear()
        self._line_length = 0


class Stderr:
    """Hands on each line as progress and remembers the last ones."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self.last: deque[str] = deque(maxlen=STDERR_LINES_MAX)

    async def follow(self, reader: asyncio.StreamReader) -> None:
        """Read to the end."""
        line = bytearray()
        while chunk := await reader.read(_CHUNK_BYTES):
            *ended, rest = chunk.split(b"\n")
            for part in ended:
                self._tell(line + part)
                line.clear()
            line += rest[: max(0, LINE_BYTES_MAX - len(line))]
        self._tell(line)

    def _tell(self, line: bytes | bytearray) -> None:
        text = line[:LINE_BYTES_MAX].decode(errors="replace").rstrip()
        if text:
            self.last.append(text)
            self._progress(text)
