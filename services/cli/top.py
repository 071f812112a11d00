"""`clawx top`: what the fleet does, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bus.client import Bus as OpenBus
    from services.cli.fleet_state import FleetState
    from services.settings import Settings

COLUMNS = ("name", "profession", "status", "node_id", "tasks", "cpu_cores", "memory_mib")


def top(
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, max=3600, help="Seconds between two looks.")] = 1.0,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show nodes, instances with what they use, and alarms, until interrupted; with --json a line for each look."""
    from services.cli.loop import run_async

    settings = read_settings(bus, server, data)
    run_async(_once(settings, as_json) if once else _follow(settings, every, as_json))


async def _once(settings: Settings, as_json: bool) -> None:
    from rich.console import Console

    from services.cli.connection import reading
    from services.cli.fleet_state import FleetState
    from services.cli.terminal import print_json

    fleet = FleetState()
    async with reading(settings) as bus:
        for channel, wanted in fleet.wants.items():
            async for envelope in bus.subscribe(channel, wanted, live=False):
                fleet.apply(envelope)
    if as_json:
        print_json(fleet.describe(_now_ms()))
    else:
        Console().print(_draw(fleet.describe(_now_ms())))


async def _follow(settings: Settings, every_s: float, as_json: bool) -> None:
    import asyncio

    from services.cli.connection import reading
    from services.cli.fleet_state import FleetState

    fleet = FleetState()
    async with reading(settings) as bus:
        following = [asyncio.create_task(_listen(bus, fleet, channel)) for channel in fleet.wants]
        showing = asyncio.create_task(_print_lines(fleet, every_s) if as_json else _show_live(fleet, every_s))
        ended, others = await asyncio.wait([*following, showing], return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in ended:
            task.result()


async def _listen(bus: OpenBus, fleet: FleetState, channel: str) -> None:
    async for envelope in bus.subscribe(channel, fleet.wants[channel]):
        fleet.apply(envelope)


async def _print_lines(fleet: FleetState, every_s: float) -> None:
    import asyncio

    from services.cli.terminal import print_json

    while True:
        await asyncio.sleep(every_s)
        print_json(fleet.describe(_now_ms()))


async def _show_live(fleet: FleetState, every_s: float) -> None:
    import asyncio

    from rich.live import Live

    with Live(_draw(fleet.describe(_now_ms())), auto_refresh=False, screen=False) as live:
        while True:
            await asyncio.sleep(every_s)
            live.update(_draw(fleet.describe(_now_ms())), refresh=True)


def _draw(found: dict[str, object]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for name, columns in (
        ("nodes", ("node_id", "pool", "status", "instances")),
        ("instances", COLUMNS),
        ("alarms", ("rule", "subject", "evidence")),
    ):
        rows = found[name]
        assert isinstance(rows, list)
        table = Table(*columns, title=f"{name} ({len(rows)})", title_justify="left", expand=False)
        for row in rows:
            table.add_row(*(Text("-" if row[column] is None else str(row[column])) for column in columns))
        parts.append(table)
    return Group(*parts)


def _now_ms() -> int:
    import time

    return int(time.time() * 1000)
