"""A gate in the middle of a run: work waits at it, so that a test knows the moment and decides when it goes on."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.eventually import eventually

WORK = Path(__file__).with_name("gated_work.py")
BEGINS_S_MAX = 120


class Begun(NamedTuple):
    """One attempt that has come to the gate: its program, the worker above it, and where they work."""

    attempt_id: str
    pid: int
    worker: int
    directory: str


class Gate:
    """Shut while its lock is held here; when this process ends, it opens by itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self) -> None:
        """Let everything pass, now and later."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def begun(self) -> list[Begun]:
        """All that has come here so far."""
        path = self.path.with_suffix(".begun")
        if not path.exists():
            return []
        return [Begun(**json.loads(line)) for line in path.read_text().splitlines(keepends=True) if line[-1:] == "\n"]

    async def reached(self, count: int = 1) -> Begun:
        """Wait until so many attempts have come here; gives the last of them."""
        what = f"{count} attempts at the gate {self.path}"
        await eventually(lambda: len(self.begun()) >= count, BEGINS_S_MAX, what)
        return self.begun()[count - 1]


@contextmanager
def shut(path: Path) -> Iterator[Gate]:
    """A gate that is shut, and open in the end whatever happens."""
    gate = Gate(path)
    try:
        yield gate
    finally:
        gate.close()


PLAIN = """\
workflow:
  id: chain
  stages:
    - {id: plan, profession: product_manager, output: [plan], next: [build]}
    - id: build
      profession: software_developer
      input: [plan]
      output: [code]
      agent: command
      with: {command: [python3, PROGRAM], gate: GATE}
      next: [check]
    - {id: check, profession: qa_engineer, input: [code], output: [verdict], next: [done]}
    - {id: done, kind: end, end: {status: completed}}
"""

CHAIN = [("plan", 1, "completed"), ("build", 1, "completed"), ("check", 1, "completed"), ("done", 1, "completed")]
"""How such a run ends."""


def gated_chain(gate: Gate) -> Path:
    """A workflow of three stages, of which the second waits at the gate."""
    path = gate.path.with_suffix(".yaml")
    path.write_text(PLAIN.replace("PROGRAM", json.dumps(str(WORK))).replace("GATE", json.dumps(str(gate.path))))
    return path
