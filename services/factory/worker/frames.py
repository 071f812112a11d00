"""Frames between a node and a worker: one JSON object a line, over one socket.

node    {"attempt": ASSIGNMENT}  {"stop": ATTEMPT, "code": CODE}  {"ping": N}  {"admitted": N}  {"end": true}
        {"letter": LETTER, "attempt": ATTEMPT}
worker  {"hello": PID}  {"pong": N}  {"line": TEXT, "attempt": ATTEMPT}
        {"admit": N, "attempt": ATTEMPT, "provider": NAME}
        {"answered": NAME, "attempt": ATTEMPT, "limited_ms": N or null}  {"used": USAGE, "attempt": ATTEMPT}
        {"send": DRAFT, "attempt": ATTEMPT}  {"received": MESSAGE, "attempt": ATTEMPT}
        {"ended": ATTEMPT, "code": CODE, "envelope": ENVELOPE}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.factory.agents.port import Assignment, Input

FRAME_BYTES_MAX = 4 * 1024 * 1024
"""Longest frame; a worker that sends a longer one is broken."""

TEXTS_BYTES_MAX = 256 * 1024
"""Most text of outputs in a frame; the rest goes through files."""


def write_frame(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def read_frame(line: bytes) -> dict[str, Any]:
    """The object in a line; raises ValueError for anything else."""
    try:
        found = json.loads(line)
    except RecursionError as error:
        raise ValueError("the frame is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("the frame is no object")
    return found


def write_assignment(assignment: Assignment) -> dict[str, Any]:
    """An assignment as JSON carries it."""
    return asdict(assignment)


def read_assignment(found: Mapping[str, Any]) -> Assignment:
    """What `write_assignment` wrote."""
    inputs = {name: Input(**given) for name, given in found["inputs"].items()}
    return Assignment(**{**found, "inputs": inputs})
