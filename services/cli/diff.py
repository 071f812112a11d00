"""`clawx diff`: two points of one thing, two runs, two logs, or two versions of the code, side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.failure import FAILED, Wrong
from services.cli.option import Bus, Data, Json, read_settings

if TYPE_CHECKING:
    from services.cli.connection import Stored
    from services.settings import Settings

Left = Annotated[
    str, typer.Argument(metavar="[AGGREGATE[@POINT]]", help="As `clawx state` takes it, such as run:ID@120.")
]
Right = Annotated[str, typer.Argument(metavar="[AGGREGATE[@POINT]]", help="The other; by default the same, now.")]
With = Annotated[str, typer.Option("--with", metavar="URL", help="The right side is of this log.")]

Code = Annotated[
    str, typer.Option("--code", metavar="PROGRAM", help="The right side is what this clawx of another version says.")
]


def diff(
    left: Left = "",
    right: Right = "",
    other: With = "",
    code: Code = "",
    bus: Bus = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print where two things differ; exit code 1 if they do.

    Two runs are compared by their course, without ids and times. With --with and nothing else two logs are compared
    byte by byte; the first record at which they part is printed for each partition. With --code and nothing else every
    decision of the log is taken again by this version and by the other, and where they differ is printed.
    """
    from services.cli.loop import run_async

    if not left and not other and not code:
        raise Wrong("say what is to be compared: two aggregates, --with URL for two logs, or --code for two versions")
    if code and (other or right):
        raise Wrong("--code compares what two versions say of one log, or of one aggregate in it")
    settings = read_settings(bus, "", data)
    works = _compare_code(settings, left, code) if code else _compare(settings, left, right or _name(left), other)
    found = run_async(works)
    for line in found:
        _print(line, as_json)
    if found:
        raise typer.Exit(FAILED)


async def _compare(settings: Settings, left: str, right: str, other: str) -> list[dict[str, Any]]:
    from services.audit.comparison import compare, describe_change
    from services.cli.connection import viewing

    async with viewing(settings) as stored:
        if not other:
            pair = _comparable(left, right, await _side(stored, left), await _side(stored, right))
            return [describe_change(change) for change in compare(*pair)]
        async with viewing(read_settings(other, "", settings.data)) as others:
            if not left:
                return await _compare_logs(stored, others)
            pair = _comparable(left, right, await _side(stored, left), await _side(others, right))
            return [describe_change(change) for change in compare(*pair)]


def _name(text: str) -> str:
    return text.partition("@")[0]


async def _compare_code(settings: Settings, aggregate: str, program: str) -> list[dict[str, Any]]:
    from services.audit.comparison import compare, describe_change
    from services.cli.connection import viewing
    from services.cli.diff_code import compare_decisions, read_their_state

    async with viewing(settings) as stored:
        if not aggregate:
            return await compare_decisions(settings, program)
        theirs = await read_their_state(settings, program, aggregate)
        pair = _comparable(aggregate, aggregate, await _side(stored, aggregate), theirs)
    return [describe_change(change) for change in compare(*pair)]


async def _side(stored: Stored, text: str) -> dict[str, Any]:
    from services.cli.state import read_state

    name, _, point = text.partition("@")
    return await read_state(stored, name, point)


def _comparable(left: str, right: str, ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[Any, Any]:
    """Where a point lies is no difference; two runs have their course in common, and nothing else."""
    names = [text.partition("@")[0] for text in (left, right)]
    kinds = [name.partition(":")[0] for name in names]
    if kinds[0] != kinds[1]:
        raise Wrong(f"a {kinds[0]} and a {kinds[1]} have nothing in common")
    if names[0] == names[1] or kinds[0] != "run":
        return _only(ours, _STATE), _only(theirs, _STATE)
    return _only(ours["run"], _COURSE), _only(theirs["run"], _COURSE)


_STATE = ("state", "run")
_COURSE = ("status", "workflow_id", "executions", "artifacts")


def _only(side: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: side[name] for name in names if name in side}


async def _compare_logs(stored: Stored, others: Stored) -> list[dict[str, Any]]:
    from services.audit.comparison import LogsDiffer, compare_logs, describe_parting

    try:
        return [describe_parting(each, stored.codec) async for each in compare_logs(stored.log, others.log)]
    except LogsDiffer as error:
        raise Wrong(str(error)) from error


def _print(line: dict[str, Any], as_json: bool) -> None:
    from services.cli.terminal import print_json, print_line

    if as_json:
        print_json(line)
        return
    print_line(str(line.get("path", line.get("position"))))
    for sign, side in (("-", "left"), ("+", "right")):
        if line.get(side) is not None or ("path" in line and side in line):
            print_line(f"  {sign} {json.dumps(line[side], ensure_ascii=False)}")
