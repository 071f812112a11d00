"""Two versions of the code side by side: what each makes of the same log."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from services.cli.failure import Wrong

if TYPE_CHECKING:
    from services.settings import Settings

ENDS_S_MAX = 3600.0
"""Longest time that another version may take."""


async def read_their_state(settings: Settings, program: str, text: str) -> dict[str, Any]:
    """What another version's `clawx` says of an aggregate at a point."""
    name, _, point = text.partition("@")
    lines = await _ask(settings, program, "state", name, *(["--at", point] if point else []))
    return dict(lines[-1])


async def compare_decisions(settings: Settings, program: str) -> list[dict[str, Any]]:
    """The decisions of a log that this version and another one judge differently: as left and right what each would
    decide, by the place of the record."""
    from services.audit.comparison import ABSENT, Change, describe_change

    ours, theirs = await asyncio.gather(_replay(settings, _own_program()), _replay(settings, [program]))
    found = []
    for key in sorted(ours.keys() | theirs.keys()):
        left, right = ours.get(key), theirs.get(key)
        if left != right:
            sides = [ABSENT if side is None else side for side in (left, right)]
            found.append(describe_change(Change(path=key, left=sides[0], right=sides[1])))
    return found


def _own_program() -> list[str]:
    import sys

    return [sys.executable, "-m", "services.cli.main"]


async def _replay(settings: Settings, program: list[str]) -> dict[str, Any]:
    """By the place and the kind of each difference from the log, what this program would decide."""
    lines = await _ask(settings, *program, "replay")
    return {
        f"{line['position']} {line['role']} {line['kind']}": line["decided"] for line in lines if "position" in line
    }


async def _ask(settings: Settings, *command: str) -> list[dict[str, Any]]:
    where = ["--bus", settings.bus_url, "--data", str(settings.data), "--json"]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, *where, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise Wrong(f"{command[0]} cannot be run: {error.strerror}; --code takes the path of another clawx") from error
    try:
        async with asyncio.timeout(ENDS_S_MAX):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in (0, 1):
        said = err.decode(errors="replace").strip().splitlines()
        raise Wrong(f"{' '.join(command)} ended with {process.returncode}: {said[-1] if said else 'it said nothing'}")
    return _read_lines(command[0], out)


def _read_lines(program: str, out: bytes) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in out.splitlines() if line.strip()]
    except ValueError as error:
        raise Wrong(f"{program} printed something else than JSON; --code takes the path of another clawx") from error
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise Wrong(f"{program} printed something else than JSON; --code takes the path of another clawx")
    return lines
