"""`clawx up`: the whole system in one process, on the embedded log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, read_settings

if TYPE_CHECKING:
    from services.settings import Settings

Host = Annotated[str | None, typer.Option("--host", help="Where the gateway listens; by default on this machine only.")]
Port = Annotated[int | None, typer.Option("--port", help="0 takes any that is free.", min=0, max=65535)]
NoNode = Annotated[bool, typer.Option("--no-node", help="Start no workers on this machine.")]


def up(
    host: Host = None,
    port: Port = None,
    no_node: NoNode = False,
    bus: Bus = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Run everything in this process. Prints the URL and the key; Ctrl-C ends it in order."""
    import logging

    from bus.errors import LogLocked
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr
    from services.gateway.presence import find_server

    log_to_stderr(logging.WARNING)
    settings = read_settings(bus, "", data, host=host, port=port)
    try:
        run_async(_serve(settings, not no_node, as_json))
    except LogLocked as error:
        url = find_server(settings.data)
        raise Wrong(str(error).replace("--server URL", f"--server {url}") if url else str(error)) from error


async def _serve(settings: Settings, node: bool, as_json: bool) -> None:
    from services.cli.hosting import hosting
    from services.cli.loop import until_stopped
    from services.gateway.key import keep_key
    from services.gateway.presence import announced
    from services.gateway.server import open_gateway

    async with until_stopped() as stop, hosting(settings, node=node) as (system, failed):
        key = settings.key or keep_key(settings.data)
        async with open_gateway(system.bus, system.codec, settings, key=key) as url:
            with announced(settings.data, url):
                if await stop.before(system.decides(), failed()):
                    _announce(url, key, as_json)
                    await stop.before(failed())


def _announce(url: str, key: str, as_json: bool) -> None:
    from services.cli.terminal import print_json, print_line, tell

    if as_json:
        print_json({"url": url, "key": key})
        return
    print_line(f"url  {url}")
    print_line(f"key  {key}")
    tell("Everything runs in this process; Ctrl-C ends it in order. In another terminal: clawx run FILE")
