"""`clawx instances`: agents with a profession."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.audit.instances import Instance
    from services.settings import Settings

app = typer.Typer(help="Agents with a profession.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="INSTANCE", help="Id or name of the instance.")]
HEADS = ("instance_id", "name", "profession", "status", "workspace_id", "node_id", "agent", "reason")
WAIT_S_MAX = 120.0


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
    from services.audit.instances import describe, describe_steps
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    shown = find_instance(run_async(_read(read_settings(bus, server, data))), instance)
    found = describe(shown) | {"steps": describe_steps(shown)}
    if as_json:
        print_json(found)
        return
    for name, value in describe(shown).items():
        print_line(f"{name.replace('_', ' '):12}  {'-' if value is None else value}")
    for step in shown.steps:
        print_line(f"{step.at_ms}  {step.step}{' failed' if step.has_failed else ''}  {step.detail}")


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
    from services.cli.loop import run_async

    print_instance(run_async(destroy_one(read_settings(bus, server, data), instance, force, wait)), as_json)


def print_instance(instance: Instance, as_json: bool) -> None:
    """Its id, profession and status, or all of it."""
    from services.audit.instances import describe
    from services.cli.terminal import print_json, print_line

    if as_json:
        print_json(describe(instance))
    else:
        print_line(f"{instance.instance_id}  {instance.profession}  {instance.status}")


async def destroy_one(settings: Settings, name: str, force: bool, wait: bool) -> Instance:
    """Ask for its end, by id or name."""
    from services.audit.instances import LIVED, fold_instances
    from services.cli.answer import obtain, wait_for
    from services.cli.connection import asking
    from services.records.event import (
        InstanceDestroyRequested,
        InstanceDraining,
        InstanceEnded,
        InstanceRefused,
        InstanceStopping,
    )

    async with asking(settings) as bus:
        found = find_instance(fold_instances([e async for e in bus.subscribe("event", LIVED, live=False)]), name)
        key, instance_id = found.workspace_id, found.instance_id
        request = InstanceDestroyRequested(workspace_id=key, instance_id=instance_id, force=force, reason="asked for")

        answers = (InstanceDraining, InstanceStopping, InstanceEnded)
        await obtain(bus, request, answers, (InstanceRefused,), key=key)
        if wait:
            await wait_for(bus, "event", (InstanceEnded,), lambda e: e.record.instance_id == instance_id, key=key)
        return fold_instances([e async for e in bus.subscribe("event", LIVED, key=key, live=False)])[instance_id]


async def _read(settings: Settings) -> dict[str, Instance]:
    from services.audit.instances import LIVED, fold_instances
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_instances([each async for each in bus.subscribe("event", LIVED, live=False)])


def find_instance(found: dict[str, Instance], name: str) -> Instance:
    """By id, or by a name that only one has."""
    if name in found:
        return found[name]
    named = [each for each in found.values() if each.name == name and not each.has_ended]
    if len(named) == 1:
        return named[0]
    why = f"{len(named)} instances are called {name}: give the id" if named else f"there is no instance {name}"
    raise Wrong(why)
