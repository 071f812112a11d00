"""`clawx instances create`: an instance of a profession, with what it is to have of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Failed, Wrong
from services.cli.instances import WAIT_S_MAX, print_instance
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings

if TYPE_CHECKING:
    from services.audit.instances import Instance
    from services.definitions.tailoring import Tailoring
    from services.records.event import InstanceRequested
    from services.settings import Settings

Class = Annotated[str, typer.Option("--class", help="Resource class: compute, balanced or light.")]
Cpu = Annotated[float | None, typer.Option("--cpu", min=0.001, max=10_000, help="Cores.")]
Memory = Annotated[str, typer.Option("--memory", metavar="AMOUNT", help="Such as 512Mi or 2Gi.")]
Model = Annotated[str, typer.Option("--model", help="The model it thinks with, instead of the profession's.")]
Agent = Annotated[str, typer.Option("--agent", help="How it thinks, instead of the profession's way.")]
Driver = Annotated[str, typer.Option("--driver", help="How its worker is kept apart.")]
Pool = Annotated[str, typer.Option("--pool", help="The pool of nodes it takes room in.")]
Guaranteed = Annotated[
    bool, typer.Option("--guaranteed", help="Keep its whole quota for it; otherwise it shares what is not used.")
]
Tasks = Annotated[int | None, typer.Option("--tasks", min=1, max=1000, help="Tasks at once.")]
Quality = Annotated[float | None, typer.Option("--quality", min=0, max=1, help="Least quality of results.")]
Skills = Annotated[list[str] | None, typer.Option("--skill", metavar="NAME=LEVEL", help="May be repeated.")]


def create(
    profession: Annotated[str, typer.Argument(metavar="PROFESSION", help="Its id or an alias.")],
    name: Annotated[str, typer.Option("--name", help="What to call it; otherwise it is named.")] = "",
    agent: Agent = "",
    driver: Driver = "process",
    pool: Pool = "default",
    resource_class: Class = "",
    cpu: Cpu = None,
    memory: Memory = "",
    guaranteed: Guaranteed = False,
    model: Model = "",
    tasks: Tasks = None,
    quality: Quality = None,
    skill: Skills = None,
    team: Annotated[str, typer.Option("--team", help="Whom it works with.")] = "",
    upstream: Annotated[list[str] | None, typer.Option("--upstream", help="Whom work comes from.")] = None,
    downstream: Annotated[list[str] | None, typer.Option("--downstream", help="Whom work goes to.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is ready.")] = True,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create an instance of a profession."""
    from services.cli.loop import run_async
    from services.definitions.tailoring import Tailoring
    from services.records.event import InstanceRequested

    skills = read_levels(skill or [])
    own = Tailoring(resource_class=resource_class, cpu=cpu, memory=memory, tasks=tasks, quality=quality, skills=skills)
    own = replace(own, upstream=tuple(upstream or ()), downstream=tuple(downstream or ()))
    request = InstanceRequested(
        workspace_id=workspace,
        profession=profession,
        name=name,
        agent=agent,
        driver=driver,
        pool=pool,
        guaranteed=guaranteed,
        skills=skills,
        model=model,
        team_id=team,
    )
    settings = settings_of_running(bus, server, data)
    print_instance(run_async(_create(settings, request, own, wait)), as_json)


def settings_of_running(bus: str, server: str, data: Data) -> Settings:
    """Settings that lead to a system that runs; raises Wrong where none can be meant."""
    from services.cli.connection import hosts_itself

    settings = read_settings(bus, server, data)
    if hosts_itself(settings):
        raise Wrong("an instance lives in a system that runs: start it with `clawx up`, or name it with --server")
    return settings


def read_levels(texts: list[str]) -> dict[str, int]:
    """Levels by skill from NAME=LEVEL; raises Wrong."""
    levels = {}
    for text in texts:
        name, sign, level = text.rpartition("=")
        if not (name and sign and level.isdecimal()):
            raise Wrong(f"--skill {text}: it must be NAME=LEVEL, such as coding=9")
        levels[name] = int(level)
    return levels


async def _create(settings: Settings, request: InstanceRequested, tailoring: Tailoring, wait: bool) -> Instance:
    from services.audit.instances import LIVED, fold_instances
    from services.cli.answer import obtain, wait_for
    from services.cli.connection import asking
    from services.cli.profession_list import read_catalogue
    from services.definitions.catalogue import ProfessionUnknown
    from services.definitions.tailoring import TailoringRefused
    from services.records.event import InstanceAccepted, InstanceEnded, InstanceReady, InstanceRefused

    async with asking(settings) as bus:
        try:
            profession = tailoring.profession((await read_catalogue(bus)).require(request.profession))
            resources = tailoring.resources(profession)
        except (ProfessionUnknown, TailoringRefused) as error:
            raise Wrong(str(error)) from error
        digest = await bus.blobs.put(profession.to_json())
        found = {"profession": profession.id, "profession_digest": digest, "resources": resources}
        request = request.model_copy(update=found)
        key = request.workspace_id
        words = "the instance was refused"
        answer = await obtain(bus, request, [InstanceAccepted], (InstanceRefused,), key=key, words=words)
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
