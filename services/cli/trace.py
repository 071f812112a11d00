"""`clawx trace RUN`: how a run came about, as a tree of causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.audit.trace import Node
    from services.settings import Settings

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]


def trace(run_id: RunId, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Print what led to what in a run. Over all channels, with times and reasons."""
    from services.audit.trace import NothingToTrace, to_json
    from services.cli.loop import run_async
    from services.cli.terminal import print_line
    from services.cli.trace_tree import print_tree

    try:
        root = run_async(_read(read_settings(bus, server, data), run_id))
    except NothingToTrace as error:
        raise Wrong(str(error)) from error
    if as_json:
        print_line(to_json(root))
    else:
        print_tree(root)


async def _read(settings: Settings, run_id: str) -> Node:
    from services.audit.trace import TRACED, build_trace
    from services.cli.connection import reading

    envelopes = []
    async with reading(settings) as bus:
        for channel, types in TRACED.items():
            envelopes += [envelope async for envelope in bus.subscribe(channel, types, live=False)]
    return build_trace(run_id, envelopes)
