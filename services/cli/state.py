"""`clawx state AGGREGATE`: what a role knew of something at a point of the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, read_settings

if TYPE_CHECKING:
    from services.cli.connection import Stored
    from services.settings import Settings

Aggregate = Annotated[
    str,
    typer.Argument(
        metavar="AGGREGATE",
        help="run:ID, instance:ID, review:ID, roster:WORKSPACE, artifacts:WORKSPACE, pool:NAME, profession:ID, "
        "watch:KEY or role:NAME/PARTITION.",
    ),
]
At = Annotated[str, typer.Option("--at", metavar="OFFSET|TIME", help="At this point of its partition; by default now.")]


def state(aggregate: Aggregate, at: At = "", bus: Bus = "", data: Data = None, as_json: Json = False) -> None:
    """Print the state of something at a point, folded from the log with today's code.

    What has ended has no state any more; of a run, its course is printed besides.
    """
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    found = run_async(_read(read_settings(bus, "", data), aggregate, at))
    if as_json:
        print_json(found)
    else:
        print_line(json.dumps(found, indent=2, ensure_ascii=False))


async def _read(settings: Settings, aggregate: str, at: str) -> dict[str, object]:
    from services.cli.connection import viewing

    async with viewing(settings) as stored:
        return await read_state(stored, aggregate, at)


async def read_state(stored: Stored, aggregate: str, at: str = "") -> dict[str, object]:
    """What `state --json` prints."""
    from services.audit.aggregate import NoSuchAggregate, describe, find_state
    from services.audit.rehearsal import NOW
    from services.audit.run_story import describe_story, read_story
    from services.cli.point import read_point

    try:
        found = await find_state(stored.log, stored.codec, aggregate, read_point(at) if at else NOW)
    except NoSuchAggregate as error:
        raise Wrong(str(error)) from error
    kind, _, run_id = aggregate.partition(":")
    if kind != "run":
        return describe(found)
    story = await read_story(stored.log, stored.codec, run_id, found.home, found.offset)
    return {**describe(found), "run": describe_story(story)}
