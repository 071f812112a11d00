"""`clawx instances drain|restart|upgrade`: changes of an instance that lose none of its tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Failed
from services.cli.instances import WAIT_S_MAX, Id, destroy_one, find_instance, print_instance
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from bus.client import Bus as OpenBus
    from bus.record import Envelope
    from services.audit.instances import Instance
    from services.settings import Settings

Force = Annotated[bool, typer.Option("--force", help="At once: tasks that it has are lost and tried again.")]
Wait = Annotated[bool, typer.Option(help="Wait until it is ready again.")]


def drain(
    instance: Id,
    wait: Annotated[bool, typer.Option(help="Wait until it has ended.")] = True,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give an instance no more tasks, and end it when it has done those that it has."""
    from services.cli.loop import run_async

    print_instance(run_async(destroy_one(read_settings(bus, server, data), instance, False, wait)), as_json)


def restart(
    instance: Id,
    force: Force = False,
    wait: Wait = True,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give an instance a new worker once its tasks are done; it keeps its name and its room."""
    from services.cli.loop import run_async

    settings = read_settings(bus, server, data)
    print_instance(run_async(_restart(settings, instance, force=force, wait=wait, upgrade=False)), as_json)


def upgrade(
    instance: Id,
    force: Force = False,
    wait: Wait = True,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give an instance the newest version of its profession, without losing a task."""
    from services.cli.loop import run_async

    settings = read_settings(bus, server, data)
    print_instance(run_async(_restart(settings, instance, force=force, wait=wait, upgrade=True)), as_json)


async def _restart(settings: Settings, name: str, *, force: bool, wait: bool, upgrade: bool) -> Instance:
    from services.audit.instances import LIVED, fold_instances
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.event import InstanceRefused, InstanceRestarting, InstanceRestartRequested

    async with asking(settings) as bus:
        found = find_instance(fold_instances([e async for e in bus.subscribe("event", LIVED, live=False)]), name)
        key, instance_id = found.workspace_id, found.instance_id
        digest = await _newest(bus, found.profession) if upgrade else ""
        request = InstanceRestartRequested(
            workspace_id=key,
            instance_id=instance_id,
            profession_digest=digest,
            force=force,
            reason="an upgrade of its profession" if upgrade else "asked for",
        )
        answer = await obtain(bus, request, [InstanceRestarting], (InstanceRefused,), key=key)
        if wait:
            await _wait_until_ready(bus, answer, instance_id)
        after = fold_instances([e async for e in bus.subscribe("event", LIVED, key=key, live=False)])[instance_id]
        if after.has_ended:
            raise Failed(f"the instance {instance_id} {after.status}: {after.reason}")
        return after


async def _newest(bus: OpenBus, profession: str) -> str:
    from services.cli.profession_list import read_catalogue

    return await bus.blobs.put((await read_catalogue(bus)).require(profession).to_json())


async def _wait_until_ready(bus: OpenBus, answer: Envelope, instance_id: str) -> None:
    """An answer and what follows it stand on one partition."""
    from services.cli.answer import wait_for
    from services.records.event import InstanceEnded, InstanceReady

    def is_it(envelope: Envelope) -> bool:
        is_later = envelope.at is not None and answer.at is not None and envelope.at.offset > answer.at.offset
        return is_later and envelope.record.instance_id == instance_id

    key = answer.record.workspace_id
    await wait_for(bus, "event", (InstanceReady, InstanceEnded), is_it, key=key, wait_s=WAIT_S_MAX)
