"""`clawx service NAME`: one service in a process of its own, on a log that many processes share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, read_settings
from services.cli.up import Host, NoNode, Port

if TYPE_CHECKING:
    from services.cli.loop import Stop
    from services.settings import Settings

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="factory, allocator, router, orchestrator, health, gateway, audit, or node for a host."
    ),
]

Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="Of the audit: postgresql://USER@HOST/NAME or sqlite:///PATH."),
]


def service(
    name: Name,
    no_node: NoNode = False,
    host: Host = None,
    port: Port = None,
    database: Database = None,
    bus: Bus = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Run one service of the system. SIGTERM makes it hand over; with --json it prints a line once it decides."""
    import logging

    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr
    from services.topology import EDGES, SERVICES

    if name not in (*SERVICES, *EDGES):
        raise Wrong(f"there is no service {name!r}; there are {', '.join((*SERVICES, *EDGES))}")
    settings = read_settings(bus, "", data, host=host, port=port, database=database)
    if settings.is_embedded and name != "audit":
        raise Wrong("a service of its own needs a log that many processes share: --bus kafka://HOST:PORT")
    log_to_stderr(logging.INFO if name == "audit" else logging.WARNING)
    run_async(_serve(settings, name, not no_node, as_json))


async def _serve(settings: Settings, name: str, node: bool, as_json: bool) -> None:
    from services.cli.loop import until_stopped

    async with until_stopped() as stop:
        if name == "gateway":
            await _serve_gateway(settings, stop, as_json)
        elif name == "audit":
            await _serve_audit(settings, stop, as_json)
        else:
            await _serve_roles(settings, stop, name, node, as_json)


async def _serve_roles(settings: Settings, stop: Stop, name: str, node: bool, as_json: bool) -> None:
    from services.cli.hosting import hosting

    async with hosting(settings, (name,), node=node) as (system, failed):
        if await stop.before(system.decides(), failed()):
            _announce(settings, name, as_json)
            await stop.before(failed())


async def _serve_gateway(settings: Settings, stop: Stop, as_json: bool) -> None:
    from services.cli.hosting import hosting
    from services.gateway.key import keep_key
    from services.gateway.presence import announced
    from services.gateway.server import open_gateway

    async with hosting(settings, ("gateway",), node=False) as (system, failed):
        key = settings.key or keep_key(settings.data)
        async with open_gateway(system.bus, system.codec, settings, key=key) as url:
            with announced(settings.data, url):
                if await stop.before(system.decides(), failed()):
                    _announce(settings, "gateway", as_json, url=url)
                    await stop.before(failed())


async def _serve_audit(settings: Settings, stop: Stop, as_json: bool) -> None:
    """Checks every fact that is said, live, tells of gaps, and keeps it all as tables; it hosts no role."""
    from bus.address import open_log, view_log
    from services.audit.office import Office
    from services.records import language_codec

    codec = language_codec()
    log = await (view_log if settings.is_embedded else open_log)(
        settings.bus_url,
        access=settings.access(),
        codec=codec,
        namespace=settings.namespace,
        partitions=settings.partitions,
    )
    try:
        office = Office(log, codec, data=settings.data, database=settings.database)
        async with office.at_work() as failed:
            if await stop.before(office.caught_up(), failed()):
                _announce(settings, "audit", as_json, **office.figures)
                await stop.before(failed())
        office.sign()
    finally:
        await log.close()


def _announce(settings: Settings, name: str, as_json: bool, **more: object) -> None:
    from services.cli.terminal import print_json, tell

    if as_json:
        print_json({"service": name, "pid": os.getpid(), "namespace": settings.namespace, **more})
    else:
        said = "".join(f", {key} {value}" for key, value in more.items())
        tell(f"{name} is at work on {settings.bus_url}, namespace {settings.namespace}{said}")
