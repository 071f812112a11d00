"""`clawx replay`: decide again, with today's code, what a stored log says was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from services.cli.failure import FAILED, Wrong
from services.cli.option import Bus, Data, Json, read_settings

if TYPE_CHECKING:
    from services.audit.rehearsal import Outcome, Scope
    from services.settings import Settings

RoleName = Annotated[str, typer.Option("--role", metavar="NAME", help="Only this role, such as orchestrator.runs.")]
Number = Annotated[int | None, typer.Option("--partition", metavar="N", min=0, help="Only this partition number.")]
From = Annotated[str, typer.Option("--from", metavar="OFFSET|TIME", help="Decide again from here on; before it, fold.")]
To = Annotated[str, typer.Option("--to", metavar="OFFSET|TIME", help="End here.")]
Stepwise = Annotated[bool, typer.Option("--step", help="Show each decision, and wait for Enter.")]
Speed = Annotated[
    float | None, typer.Option("--speed", metavar="X", help="Show each decision, X times as fast as it happened.")
]


def replay(
    role: RoleName = "",
    partition: Number = None,
    start: From = "",
    end: To = "",
    step: Stepwise = False,
    speed: Speed = None,
    bus: Bus = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Report where today's code would decide differently; exit code 1 if it would.

    Reads a log, also one in use, and writes nothing; no effect is run. Recorded decisions are taken again from their
    cause, time and state. Inputs that led to no fact and now would are told apart from them; they do not make it fail.
    """
    from services.cli.loop import run_async

    if speed is not None and speed <= 0:
        raise Wrong("--speed is a number above 0")
    settings, pace = read_settings(bus, "", data), Pace(step, speed)
    if run_async(_replay(settings, _Asked(role, partition, start, end), pace, as_json)).differing:
        raise typer.Exit(FAILED)


class Pace(NamedTuple):
    """How decisions are shown as they pass; by neither, they are not."""

    step: bool
    speed: float | None


class _Asked(NamedTuple):
    role: str
    number: int | None
    start: str
    end: str


async def _replay(settings: Settings, asked: _Asked, pace: Pace, as_json: bool) -> Outcome:
    from services.audit.rehearsal import Rehearsal
    from services.cli.connection import viewing
    from services.cli.replay_report import print_difference, print_outcome, walk
    from services.topology import HOMES

    async with viewing(settings) as stored:
        scope = _scope(asked, stored.log.partitions)
        rehearsal = Rehearsal(stored.log, stored.codec, stored.blobs, HOMES)
        if pace.step or pace.speed:
            await walk(rehearsal, scope, step=pace.step, speed=pace.speed, as_json=as_json)
        else:
            async for difference in rehearsal.run(scope):
                print_difference(difference, as_json)
        print_outcome(rehearsal.outcome, as_json)
        return rehearsal.outcome


def _scope(asked: _Asked, partitions: int) -> Scope:
    from services.audit.rehearsal import BEGINNING, NOW, Scope
    from services.cli.point import read_point
    from services.topology import ROLES

    roles = [role for role in ROLES if asked.role in ("", role.name)]
    if not roles:
        raise Wrong(f"there is no role {asked.role!r}; there are {', '.join(role.name for role in ROLES)}")
    if asked.number is not None and asked.number >= partitions:
        raise Wrong(f"there is no partition {asked.number}; the log has {partitions}, numbered from 0")
    return Scope(
        roles=roles,
        numbers=range(partitions) if asked.number is None else [asked.number],
        start=read_point(asked.start) if asked.start else BEGINNING,
        end=read_point(asked.end) if asked.end else NOW,
    )
