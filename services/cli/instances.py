"""`clawx instances`: agents with a profession."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Failed, Wrong
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings

if TYPE_CHECKING:
    from services.audit.instances import Instance
    from services.records.event import InstanceRequested
    from services.settings import Settings

app = typer.Typer(help="Agents with a profession.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="INSTANCE", help="Id or name of the instance.")]
HEADS = ("instance_id", "name", "profession", "status", "workspace_id", "node_id", "agent", "reason")
WAIT_S_MAX = 120.0


@app.command()
def create(
    profession: Annotated[str, typer.Argument(metavar="PROFESSION", help="Its id or an alias.")],
    name: Annotated[str, typer.Option("--name", help="What to call it; otherwise it is named.")] = "",
    agent: Annotated[str, typer.Option("--agent", help="How it thinks, instead of the profession's way.")] = "",
    driver: Annotated[str, typer.Option("--driver", help="How its worker is kept apart.")] = "process",
    pool: Annotated[str, typer.Option("--pool", help="The pool of nodes it takes room in.")] = "default",
    guaranteed: Annotated[
        bool, typer.Option("--guaranteed", help="Keep its whole quota for it; otherwise it shares what is not used.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait until it is ready.")] = True,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create an instance of a profession."""
    from services.audit.instances import describe
    from services.cli.connection import hosts_itself
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.records.event import InstanceRequested

    settings = read_settings(bus, server, data)
    if hosts_itself(settings):
        raise Wrong("an instance lives in a system that runs: start it with `clawx up`, or name it with --server")
    request = InstanceRequested(
        workspace_id=workspace,
        profession=profession,
        name=name,
        agent=agent,
        driver=driver,
        pool=pool,
        guaranteed=guaranteed,
    )
    made = run_async(_create(settings, request, wait))
    if as_json:
        print_json(describe(made))
    else:
        print_line(f"{made.instance_id}  {made.profession}  {made.status}")


async def _create(settings: Settings, request: InstanceRequested, wait: bool) -> Instance:
    from services.audit.instances import LIVED, fold_instances
    from services.cli.answer import ask, wait_for
    from services.cli.connection import asking
    from services.cli.profession_list import read_catalogue
    from services.definitions.catalogue import ProfessionUnknown
    from services.records.event import InstanceAccepted, InstanceEnded, InstanceReady, InstanceRefused

    async with asking(settings) as bus:
        try:
            profession = (await read_catalogue(bus)).require(request.profession)
        except ProfessionUnknown as error:
            raise Wrong(str(error)) from error
        digest = await bus.blobs.put(profession.to_json())
        request = request.model_copy(update={"profession": profession.id, "profession_digest": digest})
        key = request.workspace_id
        answer = await ask(bus, request, [InstanceAccepted, InstanceRefused], key=key)
        if isinstance(answer.record, InstanceRefused):
            raise Failed(f"the instance was refused: {answer.record.reason}")
        instance_id = answer.record.instance_id
        if wait:
            ends = (InstanceReady, InstanceEnded)
            await wait_for(
                bus, "event", ends, lambda e: e.record.instance_id == instance_id, key=key, wait_s=WAIT_S_MAX
            )
        made = fold_instances([e async for e in bus.subscribe("event", LIVED, key=key, live=False)])[instance_id]
        if made.has_ended:
            raise Failed(f"the instance {instance_id} {made.status}: {made.reason}")
        return made


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those that have ended too.")] = False,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the instances, the oldest first."""
    from services.audit.instances import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows

    found = run_async(_read(read_settings(bus, server, data)))
    print_rows([describe(each) for each in found.values() if every or not each.has_ended], HEADS, as_json)


@app.command()
def show(instance: Id, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Show one instance."""
    from services.audit.instances import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    found = describe(_find(run_async(_read(read_settings(bus, server, data))), instance))
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        print_line(f"{name.replace('_', ' '):12}  {'-' if value is None else value}")


@app.command()
def destroy(
    instance: Id,
    force: Annotated[bool, typer.Option("--force", help="At once, without waiting for its tasks.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until it has ended.")] = True,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """End an instance: when its tasks are done, or at once."""
    from services.audit.instances import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    ended = run_async(_destroy(read_settings(bus, server, data), instance, force, wait))
    if as_json:
        print_json(describe(ended))
    else:
        print_line(f"{ended.instance_id}  {ended.profession}  {ended.status}")


async def _destroy(settings: Settings, name: str, force: bool, wait: bool) -> Instance:
    from services.audit.instances import LIVED, fold_instances
    from services.cli.answer import ask, wait_for
    from services.cli.connection import asking
    from services.records.event import (
        InstanceDestroyRequested,
        InstanceDraining,
        InstanceEnded,
        InstanceRefused,
        InstanceStopping,
    )

    async with asking(settings) as bus:
        found = _find(fold_instances([e async for e in bus.subscribe("event", LIVED, live=False)]), name)
        key, instance_id = found.workspace_id, found.instance_id
        request = InstanceDestroyRequested(workspace_id=key, instance_id=instance_id, force=force, reason="asked for")

        answers = (InstanceDraining, InstanceStopping, InstanceEnded, InstanceRefused)
        answer = await ask(bus, request, answers, key=key)
        if isinstance(answer.record, InstanceRefused):
            raise Failed(answer.record.reason)
        if wait:
            await wait_for(bus, "event", (InstanceEnded,), lambda e: e.record.instance_id == instance_id, key=key)
        return fold_instances([e async for e in bus.subscribe("event", LIVED, key=key, live=False)])[instance_id]


async def _read(settings: Settings) -> dict[str, Instance]:
    from services.audit.instances import LIVED, fold_instances
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_instances([each async for each in bus.subscribe("event", LIVED, live=False)])


def _find(found: dict[str, Instance], name: str) -> Instance:
    """By id, or by a name that only one has."""
    if name in found:
        return found[name]
    named = [each for each in found.values() if each.name == name and not each.has_ended]
    if len(named) == 1:
        return named[0]
    why = f"{len(named)} instances are called {name}: give the id" if named else f"there is no instance {name}"
    raise Wrong(why)
