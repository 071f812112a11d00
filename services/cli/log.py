"""`clawx log`: the log itself, record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import log_archive, log_proof, log_quarantine, log_republish
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bus.record import Envelope, Record
    from services.settings import Settings

app = typer.Typer(help="The log itself.", no_args_is_help=True)
app.command()(log_archive.export)
app.command("import")(log_archive.import_)
app.command()(log_republish.republish)
app.command()(log_proof.checkpoint)
app.command()(log_proof.verify)
app.add_typer(log_quarantine.app, name="quarantine")

Channel = Annotated[list[str] | None, typer.Option("--channel", "-c", help="Only this channel; may be repeated.")]
Type = Annotated[list[str] | None, typer.Option("--type", "-t", help="Only this type of record; may be repeated.")]
Key = Annotated[str, typer.Option("--key", help="Only this key: a workspace, pool:NAME or _system.")]
Past = Annotated[bool, typer.Option("--past", help="End where the log ends now.")]


@app.callback()
def log() -> None:
    """The log itself."""


@app.command()
def tail(
    channel: Channel = None,
    type_: Type = None,
    key: Key = "",
    past: Past = False,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print records that count as they come, a line each, after those that are there. Ctrl-C ends it."""
    from contextlib import suppress

    from services.cli.loop import run_async

    with suppress(KeyboardInterrupt):
        settings = read_settings(bus, server, data)
        run_async(_tail(settings, _wanted(channel or [], type_ or []), key, not past, as_json))


def _wanted(channels: list[str], names: list[str]) -> dict[str, list[type[Record]]]:
    """The types to show, by channel."""
    from bus.channel import CHANNELS
    from services.cli.failure import Wrong
    from services.records import LANGUAGE, language_codec
    from services.wire import record_type

    for channel in channels:
        if channel not in CHANNELS:
            raise Wrong(f"there is no channel {channel!r}; there are {', '.join(CHANNELS)}")
    kinds = [record_type(name, language_codec().types) for name in names] or LANGUAGE
    shown = channels or [channel for channel in CHANNELS if names or channel != "telemetry"]
    found = {channel: [kind for kind in kinds if kind.channel in (channel, "")] for channel in shown}
    return {channel: kinds for channel, kinds in found.items() if kinds}


async def _tail(settings: Settings, wanted: dict[str, list[type[Record]]], key: str, live: bool, as_json: bool) -> None:
    import asyncio

    from services.cli.connection import reading

    async with reading(settings) as bus, asyncio.TaskGroup() as group:
        for channel, kinds in wanted.items():
            group.create_task(_print(bus.subscribe(channel, kinds, key=key, live=live), as_json))


async def _print(envelopes: AsyncIterator[Envelope], as_json: bool) -> None:
    from services.audit.summary import summarise
    from services.cli.terminal import print_line
    from services.wire import envelope_to_json

    async for envelope in envelopes:
        if as_json:
            print_line(envelope_to_json(envelope))
        else:
            who = envelope.origin.role or envelope.origin.kind
            print_line(f"{envelope.at}  {who}  {type(envelope.record).__name__}  {summarise(envelope.record)}")
