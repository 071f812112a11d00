"""`clawx pools`: how many instances of a profession are kept warm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.instance_creation import (
    Agent,
    Class,
    Cpu,
    Driver,
    Memory,
    Model,
    Pool,
    settings_of_running,
)
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings

if TYPE_CHECKING:
    from services.definitions.tailoring import Tailoring
    from services.records.event import WarmPoolRequested, WarmPoolSet
    from services.settings import Settings

app = typer.Typer(help="How many instances of a profession are kept warm.", no_args_is_help=True)

HEADS = ("workspace_id", "profession", "min", "max", "idle_s", "agent", "driver", "pool")


@app.command("set")
def set_(
    profession: Annotated[str, typer.Argument(metavar="PROFESSION", help="Its id or an alias.")],
    least: Annotated[int, typer.Option("--min", min=0, max=64, help="So many are always ready.")] = 0,
    most: Annotated[int, typer.Option("--max", min=0, max=64, help="No more are made when tasks wait.")] = 4,
    idle: Annotated[str, typer.Option("--idle", metavar="TIME", help="Above the min they go after so long.")] = "60s",
    agent: Agent = "",
    driver: Driver = "process",
    pool: Pool = "default",
    resource_class: Class = "",
    cpu: Cpu = None,
    memory: Memory = "",
    model: Model = "",
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Keep so many instances of a profession ready, and have no more than so many that nobody asked for by name."""
    from services.audit.warm_pools import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.definitions.duration import read_duration
    from services.definitions.tailoring import Tailoring
    from services.records.event import WarmPoolRequested

    try:
        idle_ms = read_duration(idle)
    except ValueError as error:
        raise Wrong(f"--idle {idle}: {error}") from error
    request = WarmPoolRequested(
        workspace_id=workspace,
        profession=profession,
        least=least,
        most=most,
        idle_ms=idle_ms,
        agent=agent,
        driver=driver,
        pool=pool,
        model=model,
    )
    tailoring = Tailoring(resource_class=resource_class, cpu=cpu, memory=memory)
    made = run_async(_set(settings_of_running(bus, server, data), request, tailoring))
    if as_json:
        print_json(describe(made))
    else:
        print_line(f"{made.profession}  min {made.least}  max {made.most}  idle {made.idle_ms / 1000:g} s")


async def _set(settings: Settings, request: WarmPoolRequested, tailoring: Tailoring) -> WarmPoolSet:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.cli.profession_list import read_catalogue
    from services.definitions.catalogue import ProfessionUnknown
    from services.definitions.tailoring import TailoringRefused
    from services.records.event import WarmPoolRefused, WarmPoolSet

    async with asking(settings) as bus:
        try:
            profession = (await read_catalogue(bus)).require(request.profession)
            resources = tailoring.resources(profession)
        except (ProfessionUnknown, TailoringRefused) as error:
            raise Wrong(str(error)) from error
        digest = await bus.blobs.put(profession.to_json())
        found = {"profession": profession.id, "profession_digest": digest, "resources": resources}
        request, words = request.model_copy(update=found), "the warm pool was refused"
        answer = await obtain(bus, request, [WarmPoolSet], (WarmPoolRefused,), key=request.workspace_id, words=words)
        made: WarmPoolSet = answer.record
        return made


@app.command("list")
def list_(bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """List the warm pools."""
    from services.audit.warm_pools import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows

    found = run_async(_read(read_settings(bus, server, data)))
    print_rows([describe(pool) for _, pool in sorted(found.items())], HEADS, as_json)


async def _read(settings: Settings) -> dict[tuple[str, str], WarmPoolSet]:
    from services.audit.warm_pools import POOLED, fold_warm_pools
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_warm_pools([each async for each in bus.subscribe("event", POOLED, live=False)])
